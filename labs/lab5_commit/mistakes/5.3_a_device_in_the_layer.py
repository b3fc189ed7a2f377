"""overlayfs's own device goes into the archive, as in a plain tar of the upper directory."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from pyctr_lite.commit import header
from pyctr_lite.rootfs import whiteout

if TYPE_CHECKING:
    from pyctr_lite.commit.layer import LayerWriter

HINT = "overlayfs's own 0:0 device never goes into a layer"


def add_whiteout(self: LayerWriter, prefix: bytes, name: bytes) -> None:
    marker = prefix + whiteout.PREFIX + name
    self.stream.write(header.entry_header(marker, header.CHARACTER, mode=0))
