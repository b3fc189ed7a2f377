"""The try is around the loop: what comes after a name that has gone is left out."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from pyctr_lite.commit import header
from pyctr_lite.rootfs import whiteout

if TYPE_CHECKING:
    from pyctr_lite.commit.layer import LayerWriter

HINT = "What is tried all the same, name by name"


def add_entries(self: LayerWriter, directory: int, prefix: bytes) -> None:
    names = [os.fsencode(name) for name in os.listdir(directory)]
    try:
        for name in sorted(names):
            self.add_entry(directory, name, prefix)
    except FileNotFoundError:
        pass
