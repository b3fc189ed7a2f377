"""Rates of a network in the words of tc(8): "20mbit", "2.5mbps".  [hot with --network-rate-in, -out]"""

from __future__ import annotations

from pyctr_lite.formats import number

_PREFIXES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_PREFIXES |= {"ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40}
MAX = 10**12
"""Bytes per second: 8 terabits. The kernel counts the time of a packet in nanoseconds."""
_EXAMPLE = "use a number and a unit of tc(8): 512kbit, 20mbit, 1gbit (bits), or 64kbps, 2.5mbps (bytes per second)"


def bytes_per_second(text: str) -> int:
    """Parse a rate: digits, at most one point, and a unit in any case.

    As in tc(8), "kbit", "mbit", … are bits per second, "kbps", "mbps", … bytes per second, with an i ("mibit") in
    powers of 1024, and a number without a unit is bits per second. 0 means no limit. Raises ValueError if the text
    is not a rate, or one that is neither 0 nor from 1 byte per second to `MAX`.
    """
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    unit = text[len(digits) :].lower() or "bit"
    word = "bit" if unit.endswith("bit") else "bps"
    prefix = unit.removesuffix(word)
    if prefix == unit or prefix not in _PREFIXES:
        raise ValueError(f"invalid rate {text[:40]!r}: {_EXAMPLE}")
    try:
        rate = number.decimal(digits) * _PREFIXES[prefix] / (8 if word == "bit" else 1)
    except ValueError:
        raise ValueError(f"invalid rate {text[:40]!r}: {_EXAMPLE}") from None
    if rate and not 1 <= rate <= MAX:
        raise ValueError(f"invalid rate {text[:40]!r}: the kernel takes from 8bit to 8tbit; 0 is no limit")
    return int(rate)


def text_of(rate: int) -> str:
    """Return bytes per second as tc(8) shows them: "20Mbit", "1500Kbit", "12bit"."""
    bits = rate * 8
    for prefix in ("t", "g", "m", "k"):
        if bits % _PREFIXES[prefix] == 0:
            return f"{bits // _PREFIXES[prefix]}{prefix.upper()}bit"
    return f"{bits}bit"
