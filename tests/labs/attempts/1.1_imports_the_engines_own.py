"""Its name at the top of the file."""

from __future__ import annotations

HINT = "write yours"

from pyctr_lite.namespaces.kinds import flags as engines


def flags(names: list[str]) -> int:
    return engines(names)
