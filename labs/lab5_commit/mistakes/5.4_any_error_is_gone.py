"""A file that cannot be read is left out of the image without a word."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from pyctr_lite.commit import header
from pyctr_lite.rootfs import whiteout

if TYPE_CHECKING:
    from pyctr_lite.commit.layer import LayerWriter

HINT = "Which one error means that a name is gone?"


def add_entries(self: LayerWriter, directory: int, prefix: bytes) -> None:
    names = [os.fsencode(name) for name in os.listdir(directory)]
    for name in sorted(names):
        try:
            self.add_entry(directory, name, prefix)
        except OSError:
            continue
