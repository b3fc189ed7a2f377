"""Go's fmt: print values as Go does, lists as `[a b]`, maps as `map[k:v]`; printf with its verbs.

The values have these Go types: bool, int, float64, string, []interface {} (a list; []string if all items are
strings), map[string]interface {} (a dict).
"""

from __future__ import annotations

import math
import re

from pyctr_lite.formats import number, quoting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


VERB = re.compile(r"%(?P<flags>[-+# 0]*)(?P<width>[0-9]*)(?P<dot>\.?)(?P<digits>[0-9]*)(?P<verb>.)?", re.DOTALL)
MAX_WIDTH = 10**6
"""Columns, as in Go's fmt, which ignores a greater width."""


def type_name(value: Any) -> str:
    """Return the Go type of a value, as `%T` prints it."""
    if value is None:
        return "<nil>"
    if isinstance(value, list | tuple):
        return "[]string" if value and all(isinstance(item, str) for item in value) else "[]interface {}"
    if isinstance(value, dict):
        return "map[string]interface {}"
    return {bool: "bool", int: "int", float: "float64", str: "string"}.get(type(value), type(value).__name__)


def text(value: Any) -> str:
    """Format a value as `%v` does."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return shortest_float(value)
    if isinstance(value, dict):
        fields = {key: item for key, item in value.items() if not callable(item)}  # a method is not a field
        return f"map[{' '.join(f'{key}:{text(fields[key])}' for key in sorted(fields))}]"
    if isinstance(value, list | tuple):
        return f"[{' '.join(map(text, value))}]"
    return str(value)


def shortest_float(value: float) -> str:
    """Return the shortest digits that read back as the same float64; an exponent from 7 digits on (fmt's %v)."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    mantissa, _, exponent = f"{value!r}e".partition("e")
    exponent = exponent.rstrip("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole.lstrip("0")) or -(len(fraction) - len(fraction.lstrip("0")))
    digits = digits.rstrip("0")
    if not digits:
        return sign + "0"
    power = point + int(exponent or 0) - 1
    if power < -4 or power >= 6:
        return f"{sign}{digits[0]}{'.' + digits[1:] if digits[1:] else ''}e{power:+03d}"
    if power < 0:
        return f"{sign}0.{'0' * (-power - 1)}{digits}"
    whole, fraction = digits[: power + 1].ljust(power + 1, "0"), digits[power + 1 :]
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def print_line(values: Sequence[Any]) -> str:
    """Join values as fmt.Sprintln does: a space between any two, a newline at the end."""
    return " ".join(map(text, values)) + "\n"


def print_values(values: Sequence[Any]) -> str:
    """Join values as fmt.Sprint does: a space between two values if neither is a string."""
    out = ""
    for index, value in enumerate(values):
        if index and not isinstance(value, str) and not isinstance(values[index - 1], str):
            out += " "
        out += text(value)
    return out


def printf(form: str, values: Sequence[Any]) -> str:
    """Format values as fmt.Sprintf does, with its texts for a wrong verb and for missing or extra values."""
    rest = list(values)

    def replace(found: re.Match[str]) -> str:
        verb = found["verb"]
        too_wide = not all(number.is_whole(size or "0", MAX_WIDTH) for size in (found["width"], found["digits"]))
        if verb is None or too_wide:
            return "%!(NOVERB)"
        if verb == "%":
            return "%"
        if not rest:
            return f"%!{verb}(MISSING)"
        return _pad(_apply_verb(rest.pop(0), found), found)

    out = VERB.sub(replace, form)
    if rest:
        out += f"%!(EXTRA {', '.join(f'{type_name(value)}={text(value)}' for value in rest)})"
    return out


def _pad(formatted: str, found: re.Match[str]) -> str:
    width, flags = int(found["width"] or 0), found["flags"]
    if "-" in flags:
        return formatted.ljust(width)
    if "0" in flags:
        sign = formatted[0] if formatted[:1] in ("-", "+") else ""
        return sign + formatted[len(sign) :].rjust(width - len(sign), "0")
    return formatted.rjust(width)


def _apply_verb(value: Any, found: re.Match[str]) -> str:
    verb, flags = found["verb"], found["flags"]
    if verb == "v":
        return text(value)
    if verb == "T":
        return type_name(value)
    if isinstance(value, list | tuple):
        return f"[{' '.join(_apply_verb(item, found) for item in value)}]"
    if isinstance(value, dict):
        items = " ".join(f"{_apply_verb(key, found)}:{_apply_verb(value[key], found)}" for key in sorted(value))
        return f"map[{items}]"
    formatted = None
    if isinstance(value, bool):
        formatted = text(value) if verb == "t" else None
    elif isinstance(value, int):
        formatted = _integer(value, verb, flags)
    elif isinstance(value, float):
        formatted = _float(value, verb, found["digits"] if found["dot"] else None, "+" in flags)
    elif isinstance(value, str):
        value = value[: int(found["digits"] or 0)] if found["dot"] else value
        formatted = _string(value, verb)
    if formatted is None:
        return f"%!{verb}({type_name(value)}={text(value)})" if value is not None else f"%!{verb}(<nil>)"
    return formatted


def _integer(value: int, verb: str, flags: str) -> str | None:
    if verb in "doxXb":
        sign = "+" if "+" in flags else " " if " " in flags else ""
        return format(value, sign + ("#" if "#" in flags and verb in "xX" else "") + verb)
    if verb == "c":
        return chr(value)
    if verb == "q":
        return f"'{chr(value)}'"
    return f"U+{value:04X}" if verb == "U" else None


def _float(value: float, verb: str, digits: str | None, signed: bool) -> str | None:
    if verb not in "eEfFgG":
        return None
    sign = "+" if signed else ""
    if verb in "gG" and digits is None:
        return ("+" if signed and value >= 0 else "") + shortest_float(value)
    precision = 6 if digits is None else int(digits or 0)
    return format(value, f"{sign}.{precision}{verb}")


def _string(value: str, verb: str) -> str | None:
    if verb == "s":
        return value
    if verb == "q":
        return quoting.quoted(value)
    if verb in "xX":
        digits = value.encode(errors="surrogateescape").hex()
        return digits if verb == "x" else digits.upper()
    return None
