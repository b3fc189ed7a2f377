"""The mode is that of a plain file: the bytes are not those of other engines."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from pyctr_lite.commit import header
from pyctr_lite.rootfs import whiteout

if TYPE_CHECKING:
    from pyctr_lite.commit.layer import LayerWriter

HINT = "the docstring names it"


def add_whiteout(self: LayerWriter, prefix: bytes, name: bytes) -> None:
    marker = prefix + whiteout.PREFIX + name
    self.stream.write(header.entry_header(marker, header.REGULAR, mode=0o644))
