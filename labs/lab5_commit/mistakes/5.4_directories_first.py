"""Directories come before files, as file managers show them."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from pyctr_lite.commit import header
from pyctr_lite.rootfs import whiteout

if TYPE_CHECKING:
    from pyctr_lite.commit.layer import LayerWriter

HINT = "What else do you sort by?"


def add_entries(self: LayerWriter, directory: int, prefix: bytes) -> None:
    with os.scandir(directory) as entries:
        names = sorted((not entry.is_dir(follow_symlinks=False), os.fsencode(entry.name)) for entry in entries)
    for _, name in names:
        try:
            self.add_entry(directory, name, prefix)
        except FileNotFoundError:
            continue
