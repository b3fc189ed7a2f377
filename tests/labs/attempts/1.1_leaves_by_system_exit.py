"""sys.exit is an exception."""

from __future__ import annotations

HINT = "SystemExit"

import sys


def flags(names: list[str]) -> int:
    sys.exit(0)
