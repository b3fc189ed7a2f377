"""Names are brought into one form of Unicode: a name with a letter and an accent becomes that of another file."""

from __future__ import annotations

import os
import stat
import unicodedata
from typing import TYPE_CHECKING

from pyctr_lite.commit import header
from pyctr_lite.rootfs import whiteout

if TYPE_CHECKING:
    from pyctr_lite.commit.layer import LayerWriter

HINT = "are two names"


def add_entries(self: LayerWriter, directory: int, prefix: bytes) -> None:
    names = [os.fsencode(unicodedata.normalize("NFC", name)) for name in os.listdir(directory)]
    for name in sorted(names):
        try:
            self.add_entry(directory, name, prefix)
        except FileNotFoundError:
            continue
