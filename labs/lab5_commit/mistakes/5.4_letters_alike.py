"""Upper and lower case are sorted alike, as `ls` does."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from pyctr_lite.commit import header
from pyctr_lite.rootfs import whiteout

if TYPE_CHECKING:
    from pyctr_lite.commit.layer import LayerWriter

HINT = "What do you sort by?"


def add_entries(self: LayerWriter, directory: int, prefix: bytes) -> None:
    names = [os.fsencode(name) for name in os.listdir(directory)]
    for name in sorted(names, key=bytes.lower):
        try:
            self.add_entry(directory, name, prefix)
        except FileNotFoundError:
            continue
