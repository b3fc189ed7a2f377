"""Sizes and numbers of CPUs as people write and read them, exactly as Docker's go-units.  [hot with -m, --cpus]"""

from __future__ import annotations

from pyctr_lite.formats import number

BINARY = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
DECIMAL = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15}
NANO = 10**9
MAX_SIZE = number.INT64_MAX
"""The most bytes that the kernel and JSON readers accept. A larger size is cut to it: both mean unlimited."""
DECIMAL_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
BINARY_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")


def bytes_size(text: str) -> int:
    """Parse a size: "64m", "64MiB", "1.5g", "1024", "10 kb" (go-units' RAMInBytes: k is 1024).

    ".5g", "1e7" and "+1m" are not sizes, as in Docker 20.10. Raises ValueError with Docker's message.
    """
    return _parse_size(text, BINARY)


def decimal_size(text: str) -> int:
    """Parse a size in which k is 1000, as Docker reads max-size of a log (go-units' FromHumanSize).

    Raises ValueError with Docker's message.
    """
    return _parse_size(text, DECIMAL)


def _parse_size(text: str, units: dict[str, int]) -> int:
    last = max((index for index, letter in enumerate(text) if letter in "0123456789. "), default=-1)
    digits, suffix = text[: last + 1 - (text[last : last + 1] == " ")], text[last + 1 :]
    try:
        size = number.decimal(digits)
    except ValueError:
        wrong = f'strconv.ParseFloat: parsing "{digits}": invalid syntax'
        raise ValueError(wrong if digits and not _is_go_float(digits) else f"invalid size: '{text}'") from None
    unit = suffix.lower()
    if unit and unit != "b":
        if unit[0] not in units or unit[1:] not in ("", "b", "ib"):
            raise ValueError(f"invalid suffix: '{unit}'")
        size *= units[unit[0]]
    return int(min(size, MAX_SIZE))


def _is_go_float(text: str) -> bool:
    """Return whether Go's strconv.ParseFloat accepts a text."""
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and text == text.strip() and "_" not in text


def memory_swap(text: str) -> int:
    """Parse the size of memory and swap together. "-1" is -1: unlimited swap. Raises ValueError."""
    return -1 if text == "-1" else bytes_size(text)


def nano_cpus(text: str) -> int:
    """Parse a number of CPUs to billionths: "0.5" is 500,000,000. Also accepts "1/4" and "5e-1".

    Raises ValueError with Docker's message if the text is not a number or is finer than a billionth.
    """
    whole, _, part = text.partition(".")
    if number.is_whole(whole) and (not part or number.is_whole(part, 10**number.MAX_DIGITS)):
        part = part.rstrip("0")
        if len(part) > 9:
            raise ValueError("value is too precise")
        return _in_range(int(whole) * NANO + int(part.ljust(9, "0")))
    from fractions import Fraction

    try:
        exponent = text.lower().partition("e")[2]
        if set(text) - set("0123456789.eE+-/") or len(text) > number.MAX_DIGITS or len(exponent) > 3:
            raise ValueError
        nano = Fraction(text) * NANO
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"failed to parse {text} as a rational number") from None
    if nano.denominator != 1:
        raise ValueError("value is too precise")
    return _in_range(int(nano))


def _in_range(nano: int) -> int:
    if abs(nano) > number.INT64_MAX:
        raise ValueError("value is out of range")
    return nano


def human_size(size: float, digits: int = 4) -> str:
    """Format bytes in decimal units with at most so many digits: "1.24MB" (go-units' HumanSizeWithPrecision).

    Docker's tables use 3 digits.
    """
    return _scaled(size, 1000, DECIMAL_UNITS, digits)


def human_bytes(size: float, digits: int = 4) -> str:
    """Format bytes in binary units: "64MiB" (go-units' BytesSize)."""
    return _scaled(size, 1024, BINARY_UNITS, digits)


def _scaled(size: float, base: int, units: tuple[str, ...], digits: int) -> str:
    step = 0
    while size >= base and step < len(units) - 1:
        size /= base
        step += 1
    return f"{size:.{digits}g}{units[step]}"
