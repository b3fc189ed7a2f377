"""The functions of Docker's templates: text/template's own and the additions of Docker's client.

They raise ValueError with Go's message; the template adds the position.
"""

from __future__ import annotations

import operator
import re

from pyctr_lite import jsonfile
from pyctr_lite.cli.gotemplate import fmt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Values = dict[str, Any]
    Items = list[Any]
else:
    Values, Items = dict, list


class Map(Values):
    """A dict that stands for a Go map: a missing key is not an error, unlike a missing field of a struct."""

    @property
    def zero(self) -> Any:
        """The value of a missing key for `index`: "" in a map of strings such as labels, else nil."""
        return "" if all(isinstance(value, str) for value in self.values()) else None


class NilMap(Map):
    """A nil Go map: like an empty map, but its JSON is null."""


class NilSlice(Items):
    """A nil Go slice: like an empty slice, but its JSON is null."""


class NilPointer:
    """A nil Go pointer. It prints as `<nil>`; an absent value (None) prints as `<no value>`."""

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return "<nil>"


NIL = NilPointer()


class Method:
    """A value that a template calls with arguments: `.Label "name"`."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call = call

    def __call__(self, *values: Any) -> Any:
        return self.call(*values)


class Function:
    """A function with the Go types of its arguments; `variadic` is the type of any further arguments."""

    def __init__(self, call: Callable[..., Any], types: tuple[str, ...] = (), variadic: str = "") -> None:
        self.call, self.types, self.variadic = call, types, variadic


ANY, STRING, INT, STRINGS = "interface {}", "string", "int", "[]string"


def truth(value: Any) -> bool:
    """Return the truth of a value for `if`: 0, "", nil and empty collections are false."""
    return bool(value)


def _index(value: Any, *keys: Any) -> Any:
    if value is None:
        raise ValueError("index of untyped nil")
    for key in keys:
        if isinstance(value, dict):
            if not isinstance(key, str):
                raise ValueError(f"value has type {fmt.type_name(key)}; should be string")
            value = value.get(key, value.zero if isinstance(value, Map) else None)
        elif isinstance(value, list | tuple | str):
            items = value.encode() if isinstance(value, str) else value
            value = items[_position(key, len(items) - 1)]
        elif value is None:
            raise ValueError("index of nil pointer")
        else:
            raise ValueError(f"can't index item of type {fmt.type_name(value)}")
    return value


def _position(key: Any, last: int) -> int:
    if not isinstance(key, int) or isinstance(key, bool):
        raise ValueError(f"cannot index slice/array with type {fmt.type_name(key)}")
    if not 0 <= key <= last:
        raise ValueError(f"index out of range: {key}")
    return key


def _slice(value: Any, *bounds: Any) -> Any:
    if not isinstance(value, str | list | tuple):
        kind = "untyped nil" if value is None else f"type {fmt.type_name(value)}"
        raise ValueError(f"slice of {kind}" if value is None else f"can't slice item of {kind}")
    if len(bounds) > 2:
        raise ValueError(f"too many slice indexes: {len(bounds)}")
    items: Any = value.encode() if isinstance(value, str) else value
    ends = [_position(bound, len(items)) for bound in bounds]
    begin, end = (*ends, 0, len(items))[:2] if not ends else (*ends, len(items))[:2]
    if begin > end:
        raise ValueError(f"invalid slice index: {begin} > {end}")
    part = items[begin:end]
    return part.decode(errors="replace") if isinstance(part, bytes) else part


def _len(value: Any) -> int:
    if isinstance(value, str):
        return len(value.encode(errors="surrogateescape"))
    if isinstance(value, list | tuple | dict):
        return len(value)
    raise ValueError("len of nil pointer" if value is None else f"len of type {fmt.type_name(value)}")


def _kind(value: Any) -> str:
    return {bool: "bool", int: "int", float: "float", str: "string"}.get(type(value), "")


def _equal(first: Any, *others: Any) -> bool:
    if not others:
        raise ValueError("missing argument for comparison")
    for value in (first, *others):
        if value is not None and not _kind(value):
            shown = f"{fmt.text(value)}: {fmt.type_name(value)}"
            raise ValueError(f"non-comparable type {shown}")
    for other in others:
        if first is None or other is None:
            if first is other:
                return True
        elif _kind(first) != _kind(other):
            raise ValueError("incompatible types for comparison")
        elif first == other:
            return True
    return False


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def function(first: Any, other: Any) -> bool:
        for value in (first, other):
            if _kind(value) in ("", "bool"):
                raise ValueError("invalid type for comparison")
        if _kind(first) != _kind(other):
            raise ValueError("incompatible types for comparison")
        return compare(first, other)

    return function


def _title(text: str) -> str:
    """Go's strings.Title: a word begins anywhere but after a letter, a digit or an underscore."""
    return re.sub(r"(?<!\w)\w", lambda found: found.group().upper(), text)


def _pad(text: str, before: int, after: int) -> str:
    return " " * before + text + " " * after if text else text


def _truncate(text: str, length: int) -> str:
    return text[:length] if length <= len(text) else text


def _json(value: Any) -> str:
    return jsonfile.dumps(_as_json(value))


def _as_json(value: Any) -> Any:
    if isinstance(value, NilMap | NilSlice | NilPointer):
        return None
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items() if not isinstance(item, Method)}
    return [_as_json(item) for item in value] if isinstance(value, list) else value


def _printed(values: tuple[Any, ...]) -> str:
    return fmt.print_values(["<no value>" if value is None else value for value in values])


def _html(*values: Any) -> str:
    """Go's template.HTMLEscaper."""
    return _printed(values).translate(_HTML)


def _js(*values: Any) -> str:
    """Go's template.JSEscaper."""
    return "".join(
        f"\\{char}"
        if char in "\\'\""
        else f"\\u{ord(char):04X}"
        if char in "<>&=" or not char.isprintable()
        else char
        for char in _printed(values)
    )


def _urlquery(*values: Any) -> str:
    """Go's template.URLQueryEscaper."""
    from urllib.parse import quote_plus

    return quote_plus(_printed(values))


def _first(value: Any, *_: Any) -> Any:
    return value


_HTML = str.maketrans({"\0": "\ufffd", '"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;"})

FUNCTIONS = {
    # The template evaluates the arguments of `and` and `or` only up to the one that decides.
    "and": Function(lambda *values: values[-1], (ANY,), ANY),
    "or": Function(lambda *values: values[-1], (ANY,), ANY),
    "not": Function(lambda value: not truth(value), (ANY,)),
    "eq": Function(_equal, (ANY,), ANY),
    "ne": Function(lambda first, other: not _equal(first, other), (ANY, ANY)),
    "lt": Function(_ordered(operator.lt), (ANY, ANY)),
    "le": Function(_ordered(operator.le), (ANY, ANY)),
    "gt": Function(_ordered(operator.gt), (ANY, ANY)),
    "ge": Function(_ordered(operator.ge), (ANY, ANY)),
    "index": Function(_index, (ANY,), ANY),
    "slice": Function(_slice, (ANY,), ANY),
    "len": Function(_len, (ANY,)),
    "print": Function(lambda *values: fmt.print_values(values), (), ANY),
    "println": Function(lambda *values: fmt.print_line(values), (), ANY),
    "printf": Function(lambda form, *values: fmt.printf(form, values), (STRING,), ANY),
    "html": Function(_html, (), ANY),
    "js": Function(_js, (), ANY),
    "urlquery": Function(_urlquery, (), ANY),
    "json": Function(_json, (ANY,)),
    "join": Function(lambda items, separator: separator.join(items), (STRINGS, STRING)),
    "split": Function(
        lambda text, separator: text.split(separator) if separator else list(text), (STRING, STRING)
    ),
    "lower": Function(str.lower, (STRING,)),
    "upper": Function(str.upper, (STRING,)),
    "title": Function(_title, (STRING,)),
    "pad": Function(_pad, (STRING, INT, INT)),
    "truncate": Function(_truncate, (STRING, INT)),
}
"""The functions of `--format` and `inspect --format`."""

HEADER_FUNCTIONS = FUNCTIONS | {
    name: Function(_first, (ANY,), ANY)
    for name in ("json", "join", "split", "lower", "upper", "title", "truncate")
}
"""The functions for the header line of a `table` template: those that would change a header return it as is."""
