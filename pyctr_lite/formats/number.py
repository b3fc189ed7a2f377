"""Whole numbers from text, the one way: ASCII digits, at most so many, in a range.  [hot]

`int(text)` takes digits of every script, blanks, signs and underscores, raises for 5,000 digits, and has no
range; `str.isdigit` says yes to "²". Text of a user, an image or a file that is not the kernel's comes here.
"""

from __future__ import annotations

LONGEST = 40
"""Digits: zeros may lead."""
LARGEST = 2**63 - 1
_DIGITS = frozenset("0123456789")


def is_digits(text: str) -> bool:
    """Whether a text is nothing but digits, and not too many."""
    return 0 < len(text) <= LONGEST and _DIGITS.issuperset(text)


def is_whole(text: str, most: int = LARGEST) -> bool:
    """Whether a text is nothing but digits, and the number not above `most`."""
    return is_digits(text) and int(text) <= most


def whole(text: str, most: int = LARGEST, least: int = 0) -> int:
    """Return the number that digits stand for. Raises ValueError if it is not one from `least` to `most`."""
    if not is_whole(text, most) or int(text) < least:
        raise ValueError(f"not a whole number from {least} to {most}: {text[:LONGEST]!r}")
    return int(text)


def go_integer(text: str, base: int = 0) -> int:
    """Return a 64-bit number as Go's strconv.ParseInt reads it; base 0 also takes 0x1f, 0o17, 017 and 1_000.

    Raises ValueError in its words.
    """
    digits = text[1:] if text[:1] in ("+", "-") else text
    if base == 0 and digits[:1] == "0" and digits[1:2] in _DIGITS:
        base = 8
    ascii = digits.isascii() and digits == digits.strip()
    if digits[:1] not in _DIGITS or not ascii or (base == 10 and not _DIGITS.issuperset(digits)):
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    if len(digits) > 2 * LONGEST:
        raise ValueError(f'strconv.ParseInt: parsing "{text[:LONGEST]}…": value out of range')
    try:
        value = int(digits, base)
    except ValueError:
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
    value = -value if text[0] == "-" else value
    if not -LARGEST - 1 <= value <= LARGEST:
        raise ValueError(f'strconv.ParseInt: parsing "{text}": value out of range')
    return value


def decimal(text: str) -> float:
    """Return the number that digits with at most one point between them stand for. Raises ValueError."""
    before, point, after = text.partition(".")
    parts = (before, after) if point else (before,)
    if not all(map(is_digits, parts)):
        raise ValueError(f"not a number: {text[:LONGEST]!r}")
    return float(text)
