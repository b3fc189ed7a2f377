"""Conversion of a flag's text to its value, by the flag's kind, with the error texts of Go's strconv.  [hot]"""

from __future__ import annotations

from pyctr_lite.formats import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def boolean(text: str) -> bool:
    """Parse a boolean as Go's strconv.ParseBool does. Raises ValueError with its message."""
    if text in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    if text in ("0", "f", "F", "FALSE", "false", "False"):
        return False
    raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def _units(function: str) -> Callable[[str], int]:
    """Return a conversion that imports `units` only when it is called."""

    def convert(text: str) -> int:
        from pyctr_lite.formats import units

        value: int = getattr(units, function)(text)
        return value

    return convert


KINDS: dict[str, Callable[[str], Any]] = {
    "bool": boolean,
    "int": number.go_integer,
    "bytes": _units("bytes_size"),
    "memory-swap": _units("memory_swap"),
    "cpus": _units("nano_cpus"),
}
"""The conversion for each kind; any other kind stays text. "bytes" become an int of bytes, "cpus" an int of
nanocpus (10⁹ per CPU)."""
