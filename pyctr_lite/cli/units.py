"""Sizes and CPUs as a person writes and reads them: Docker's go-units, digit for digit.  [hot with -m, --cpus]"""

from __future__ import annotations

BINARY = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
NANO = 10**9
LARGEST = 2**63 - 1
"""Bytes: what the kernel and JSON's readers take; more is unlimited all the same."""
DECIMAL_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
BINARY_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")


def bytes_size(text: str) -> int:
    """Bytes of a size: "64m", "64MiB", "1.5g", "1024", "10 kb" (go-units' RAMInBytes: k is 1024).

    Fails with ValueError in Docker's words.
    """
    last = max((index for index, letter in enumerate(text) if letter in "0123456789. "), default=-1)
    if last < 0:
        raise ValueError(f"invalid size: '{text}'")
    number, suffix = text[: last + 1 - (text[last] == " ")], text[last + 1 :]
    size = _go_float(number)
    if size < 0:
        raise ValueError(f"invalid size: '{text}'")
    unit = suffix.lower()
    if unit and unit != "b":
        if unit[0] not in BINARY or unit[1:] not in ("", "b", "ib"):
            raise ValueError(f"invalid suffix: '{unit}'")
        size *= BINARY[unit[0]]
    return int(min(size, LARGEST))


def _go_float(text: str) -> float:
    """Go's strconv.ParseFloat for what a size can be."""
    try:
        if not text or not text.isascii() or text != text.strip() or "_" in text:
            raise ValueError
        return float(text)
    except ValueError:
        raise ValueError(f'strconv.ParseFloat: parsing "{text}": invalid syntax') from None


def memory_swap(text: str) -> int:
    """Bytes of memory and swap together; -1 is unlimited swap."""
    return -1 if text == "-1" else bytes_size(text)


def nano_cpus(text: str) -> int:
    """Billionths of a CPU: "0.5" is 500,000,000; also "1/4" and "5e-1".

    Fails with ValueError in Docker's words where the text is no number or is finer than a billionth.
    """
    whole, _, part = text.partition(".")
    if whole.isdecimal() and text.isascii() and (part.isdecimal() or not part):
        part = part.rstrip("0")
        if len(part) > 9:
            raise ValueError("value is too precise")
        return int(whole) * NANO + int(part.ljust(9, "0"))
    from fractions import Fraction

    try:
        if text != text.strip() or "_" in text:
            raise ValueError
        nano = Fraction(text) * NANO
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"failed to parse {text} as a rational number") from None
    if nano.denominator != 1:
        raise ValueError("value is too precise")
    return int(nano)


def human_size(size: float, digits: int = 4) -> str:
    """Decimal units with so many digits at most: "1.24MB" (go-units' HumanSizeWithPrecision; tables take 3)."""
    return _scaled(size, 1000, DECIMAL_UNITS, digits)


def human_bytes(size: float, digits: int = 4) -> str:
    """Binary units: "64MiB" (go-units' BytesSize)."""
    return _scaled(size, 1024, BINARY_UNITS, digits)


def _scaled(size: float, base: int, units: tuple[str, ...], digits: int) -> str:
    step = 0
    while size >= base and step < len(units) - 1:
        size /= base
        step += 1
    return f"{size:.{digits}g}{units[step]}"
