"""White space around a name is taken off: a name that nobody knows passes."""

from __future__ import annotations

import os

from pyctr_lite.namespaces import kinds

HINT = "it should raise KeyError"


def flags(names: list[str]) -> int:
    word = 0
    for name in names:
        word |= kinds.BY_NAME[name.strip()].flag
    return word
