"""A yield."""

from __future__ import annotations

HINT = "has a `yield`"


def flags(names: list[str]) -> int:
    yield 0
