"""A coroutine."""

from __future__ import annotations

HINT = "is an `async def`"


async def flags(names: list[str]) -> int:
    return 0
