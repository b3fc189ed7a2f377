"""The process ends as soon as the file is run."""

from __future__ import annotations

import os

HINT = "does it call exit?"

os._exit(0)


def flags(names: list[str]) -> int:
    return 0
