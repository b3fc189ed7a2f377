"""A class."""

from __future__ import annotations

HINT = "is a class"


class flags:
    def __init__(self, names):
        pass
