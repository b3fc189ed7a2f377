"""The value of a flag from its text, by the flag's kind, with the error texts of Go's strconv.  [hot]"""

from __future__ import annotations

from pyctr_lite.formats import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def boolean(text: str) -> bool:
    """Go's strconv.ParseBool."""
    if text in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    if text in ("0", "f", "F", "FALSE", "false", "False"):
        return False
    raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def _units(function: str) -> Callable[[str], int]:
    """A conversion of `units`, which is imported when it is called."""

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
"""How a kind's text becomes its value; a kind that is not here is text. "bytes" are bytes as an int, "cpus" are
nanocpus as an int (10⁹ a CPU)."""
