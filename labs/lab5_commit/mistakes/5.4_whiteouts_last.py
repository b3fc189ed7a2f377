"""Whiteouts come after all other entries."""

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
    def key(name):
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        return whiteout.is_whiteout(status), name

    names = [os.fsencode(name) for name in os.listdir(directory)]
    for name in sorted(names, key=key):
        try:
            self.add_entry(directory, name, prefix)
        except FileNotFoundError:
            continue
