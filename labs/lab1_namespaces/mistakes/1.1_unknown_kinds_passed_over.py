"""A kind that does not exist is passed over in silence."""

from __future__ import annotations

from pyctr_lite.namespaces import kinds

HINT = "Who finds out that a wall they asked for is missing?"


def flags(names: list[str]) -> int:
    word = 0
    for name in names:
        if name in kinds.BY_NAME:
            word |= kinds.BY_NAME[name].flag
    return word
