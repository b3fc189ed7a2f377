"""Names are added as os.listdir gives them: ext4 and tmpfs disagree."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from pyctr_lite.commit import header
from pyctr_lite.rootfs import whiteout

if TYPE_CHECKING:
    from pyctr_lite.commit.layer import LayerWriter

HINT = "Which order is the same everywhere?"


def add_entries(self: LayerWriter, directory: int, prefix: bytes) -> None:
    names = [os.fsencode(name) for name in os.listdir(directory)]
    for name in names:
        try:
            self.add_entry(directory, name, prefix)
        except FileNotFoundError:
            continue
