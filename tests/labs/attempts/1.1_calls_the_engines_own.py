"""The most natural attempt."""

from __future__ import annotations

from pyctr_lite.namespaces import kinds

HINT = "write yours"


def flags(names: list[str]) -> int:
    return kinds.flags(names)
