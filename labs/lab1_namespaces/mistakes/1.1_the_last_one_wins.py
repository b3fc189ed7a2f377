"""Each kind replaces the word of those before it."""

from __future__ import annotations

from pyctr_lite.namespaces import kinds

HINT = "every kind that is asked for has its bit"


def flags(names: list[str]) -> int:
    word = 0
    for name in names:
        word = kinds.BY_NAME[name].flag
    return word
