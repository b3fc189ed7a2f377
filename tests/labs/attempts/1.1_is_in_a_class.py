"""The function inside a class."""

from __future__ import annotations

HINT = "inside something else"


class Kinds:
    def flags(self, names: list[str]) -> int:
        return 0
