"""The value of a flag from its text, by the flag's kind, with the error texts of Go's strconv.  [hot]"""

from __future__ import annotations

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


def integer(text: str) -> int:
    """Go's strconv.ParseInt with base 0 and 64 bits: 10, -5, 0x1f, 0o17, 017, 1_000."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    base = 0
    if digits[:1] == "0" and digits[1:2].isdigit():
        base = 8
    try:
        if not digits.isascii() or not digits[:1].isdigit() or digits != digits.strip():
            raise ValueError
        value = int(digits, base)
    except ValueError:
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
    value = -value if text[0] == "-" else value
    if not -(2**63) <= value < 2**63:
        raise ValueError(f'strconv.ParseInt: parsing "{text}": value out of range')
    return value


def _units(function: str) -> Callable[[str], int]:
    """A conversion of `units`, which is imported when it is called."""

    def convert(text: str) -> int:
        from pyctr_lite.cli import units

        value: int = getattr(units, function)(text)
        return value

    return convert


KINDS: dict[str, Callable[[str], Any]] = {
    "bool": boolean,
    "int": integer,
    "bytes": _units("bytes_size"),
    "memory-swap": _units("memory_swap"),
    "cpus": _units("nano_cpus"),
}
"""How a kind's text becomes its value; a kind that is not here is text. "bytes" are bytes as an int, "cpus" are
nanocpus as an int (10⁹ a CPU)."""
