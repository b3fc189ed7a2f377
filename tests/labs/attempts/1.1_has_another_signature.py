"""One argument more."""

from __future__ import annotations

HINT = "keep the starter's signature"


def flags(names: list[str], more: int) -> int:
    return 0
