"""The text of the engine's file, read and executed."""

from __future__ import annotations

from pyctr_lite.namespaces import kinds

HINT = "write yours"

from pathlib import Path


def flags(names: list[str]) -> int:
    namespace = {"__name__": "copy"}
    exec(compile(Path(kinds.__file__).read_text(), "copy", "exec"), namespace)
    return namespace["flags"](names)
