"""Signals by name and number, as Docker reads them (moby/sys, signal).  [hot]"""

from __future__ import annotations

import _signal

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import number as numbers


def number(text: str) -> int:
    """Return the number of a signal: "9", "KILL", "sigkill", "RTMIN+3", "RTMAX-3". Raises InvalidArgument."""
    name = text.upper().removeprefix("SIG")
    if numbers.is_whole(name, _signal.NSIG - 1) and int(name):
        return int(name)
    for sign, base in (("+", "RTMIN"), ("-", "RTMAX")):
        first, found, offset = name.partition(sign)
        if found and first == base and numbers.is_whole(offset, _signal.SIGRTMAX - _signal.SIGRTMIN):
            return int(getattr(_signal, f"SIG{base}")) + int(sign + offset)
    found_number = getattr(_signal, "SIG" + name, None)
    if name.startswith("_") or not isinstance(found_number, int):  # SIG_DFL and SIG_IGN are not signals
        raise InvalidArgument(f"invalid signal: {text}", "kill -l lists them")
    return int(found_number)


def names() -> list[str]:
    """Return the names of all signals without SIG, in the order of their numbers."""
    found: dict[int, str] = {}
    for name in dir(_signal):
        if name.startswith("SIG") and name[3] != "_":
            found.setdefault(int(getattr(_signal, name)), name[3:])  # of two names the first: CHLD, not CLD
    return [found[number] for number in sorted(found)]
