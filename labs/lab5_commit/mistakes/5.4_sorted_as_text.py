"""Names are sorted as text: one that is no UTF-8 comes in another place than by its bytes."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from pyctr_lite.commit import header
from pyctr_lite.rootfs import whiteout

if TYPE_CHECKING:
    from pyctr_lite.commit.layer import LayerWriter

HINT = "Which of them do you sort?"


def add_entries(self: LayerWriter, directory: int, prefix: bytes) -> None:
    for name in sorted(os.listdir(directory)):
        try:
            self.add_entry(directory, os.fsencode(name), prefix)
        except FileNotFoundError:
            continue
