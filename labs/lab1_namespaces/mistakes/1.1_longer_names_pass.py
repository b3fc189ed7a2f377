"""Whatever begins with a known name passes: netns, pids."""

from __future__ import annotations

import os

from pyctr_lite.namespaces import kinds

HINT = "it should raise KeyError"


def flags(names: list[str]) -> int:
    word = 0
    for name in names:
        found = [kind for known, kind in kinds.BY_NAME.items() if name.startswith(known)]
        if not found:
            raise KeyError(name)
        word |= found[0].flag
    return word
