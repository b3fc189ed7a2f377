"""The header is made and dropped."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from pyctr_lite.commit import header
from pyctr_lite.rootfs import whiteout

if TYPE_CHECKING:
    from pyctr_lite.commit.layer import LayerWriter

HINT = "was it written, to self.stream?"


def add_whiteout(self: LayerWriter, prefix: bytes, name: bytes) -> None:
    marker = prefix + whiteout.PREFIX + name
    header.entry_header(marker, header.REGULAR, mode=0o600)
