"""Another name."""

from __future__ import annotations

HINT = "has no function flags: is it word_of_flags now"


def word_of_flags(names: list[str]) -> int:
    return 0
