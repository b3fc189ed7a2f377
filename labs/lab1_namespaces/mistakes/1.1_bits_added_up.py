"""The bits are added: a kind that is named twice becomes another kind."""

from __future__ import annotations

from pyctr_lite.namespaces import kinds

HINT = "Which operator sets a bit that may be set already?"


def flags(names: list[str]) -> int:
    return sum(kinds.BY_NAME[name].flag for name in names)
