"""A file that was deleted meanwhile ends the commit."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from pyctr_lite.commit import header
from pyctr_lite.rootfs import whiteout

if TYPE_CHECKING:
    from pyctr_lite.commit.layer import LayerWriter

HINT = "FileNotFoundError"


def add_entries(self: LayerWriter, directory: int, prefix: bytes) -> None:
    names = [os.fsencode(name) for name in os.listdir(directory)]
    for name in sorted(names):
        self.add_entry(directory, name, prefix)
