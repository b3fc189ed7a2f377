"""The name is made text and back: one that is not UTF-8 ends the commit."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from pyctr_lite.commit import header
from pyctr_lite.rootfs import whiteout

if TYPE_CHECKING:
    from pyctr_lite.commit.layer import LayerWriter

HINT = "which limits does your header have that pax does not have?"


def add_whiteout(self: LayerWriter, prefix: bytes, name: bytes) -> None:
    marker = prefix + whiteout.PREFIX + name.decode().encode()
    self.stream.write(header.entry_header(marker, header.REGULAR, mode=0o600))
