"""The only parsers of numbers in untrusted text: ASCII digits, limited in count and range.  [hot]

`int(text)` accepts digits of every script, blanks, signs and underscores, raises for 5,000 digits, and checks no
range; `str.isdigit` is true for "²". Use these for text from a user, an image or any file but the kernel's.
"""

from __future__ import annotations

MAX_DIGITS = 40
"""Leading zeros included."""
INT64_MAX = 2**63 - 1
_DIGITS, _OCTAL = frozenset("0123456789"), frozenset("01234567")


def is_digits(text: str) -> bool:
    """Return whether a text consists of 1 to MAX_DIGITS digits."""
    return 0 < len(text) <= MAX_DIGITS and _DIGITS.issuperset(text)


def is_whole(text: str, maximum: int = INT64_MAX) -> bool:
    """Return whether a text consists of digits and its number is at most `maximum`."""
    return is_digits(text) and int(text) <= maximum


def whole(text: str, maximum: int = INT64_MAX, minimum: int = 0) -> int:
    """Parse digits as a number. Raises ValueError if it is not between `minimum` and `maximum`."""
    if not is_whole(text, maximum) or int(text) < minimum:
        raise ValueError(f"not a whole number from {minimum} to {maximum}: {text[:MAX_DIGITS]!r}")
    return int(text)


def is_octal(text: str, maximum: int) -> bool:
    """Return whether a text consists of octal digits, as a mode does, and its number is at most `maximum`."""
    return is_digits(text) and _OCTAL.issuperset(text) and int(text, 8) <= maximum


def go_integer(text: str, base: int = 0) -> int:
    """Parse a 64-bit integer like Go's strconv.ParseInt; base 0 also accepts 0x1f, 0o17, 017 and 1_000.

    Raises ValueError with Go's error text.
    """
    digits = text[1:] if text[:1] in ("+", "-") else text
    if base == 0 and digits[:1] == "0" and digits[1:2] in _DIGITS:
        base = 8
    ascii = digits.isascii() and digits == digits.strip()
    if digits[:1] not in _DIGITS or not ascii or (base == 10 and not _DIGITS.issuperset(digits)):
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    if len(digits) > 2 * MAX_DIGITS:
        raise ValueError(f'strconv.ParseInt: parsing "{text[:MAX_DIGITS]}…": value out of range')
    try:
        value = int(digits, base)
    except ValueError:
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
    value = -value if text[0] == "-" else value
    if not -INT64_MAX - 1 <= value <= INT64_MAX:
        raise ValueError(f'strconv.ParseInt: parsing "{text}": value out of range')
    return value


def decimal(text: str) -> float:
    """Parse digits with at most one decimal point between them. Raises ValueError for any other text."""
    before, point, after = text.partition(".")
    parts = (before, after) if point else (before,)
    if not all(map(is_digits, parts)):
        raise ValueError(f"not a number: {text[:MAX_DIGITS]!r}")
    return float(text)
