"""What answers for the function, patched."""

from __future__ import annotations

HINT = "is not an answer"

from labs.kit.subject import codec

codec.encode = lambda value, depth=0: 0


def flags(names: list[str]) -> int:
    return 0
