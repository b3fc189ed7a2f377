"""It is written to the file behind the stream: the digest is that of another layer."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from pyctr_lite.commit import header
from pyctr_lite.rootfs import whiteout

if TYPE_CHECKING:
    from pyctr_lite.commit.layer import LayerWriter

HINT = "the layer's digest is not theirs"


def add_whiteout(self: LayerWriter, prefix: bytes, name: bytes) -> None:
    marker = prefix + whiteout.PREFIX + name
    self.stream.output.write(header.entry_header(marker, header.REGULAR, mode=0o600))
