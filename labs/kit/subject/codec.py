"""Values on their way out of a learner's process, as JSON and by their exact types.

The judge reads this, so nothing in it can be code: no pickle, no class of the learner's. An object whose `__eq__`
says yes to everything arrives as `Odd`, which equals nothing.
"""

from __future__ import annotations

import dataclasses
from typing import Any

MAX_DEPTH = 50
MAX_TEXT = 200
"""Characters of the repr of an odd value."""


class Odd:
    """A value of a type that no exercise returns: its type's name and its repr, cut."""

    def __init__(self, type: str, text: str) -> None:
        self.type, self.text = type, text

    def __repr__(self) -> str:
        return self.text if self.text.startswith("<") else f"{self.text} (an object of type {self.type})"


class Record:
    """An object of one of the package's own classes: its class name, and its attributes as values."""

    def __init__(self, kind: str, fields: dict[str, Any]) -> None:
        self.kind, self.fields = kind, fields

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["fields"][name]
        except KeyError:
            raise AttributeError(name) from None

    def __repr__(self) -> str:
        return f"{self.kind}({', '.join(f'{name}={value!r}' for name, value in self.fields.items())})"


def encode(value: Any, depth: int = 0) -> Any:
    """Return a value as what JSON can hold. Works on anything; what it does not know becomes an odd value."""
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return {"float": repr(value)}
    if kind is bytes:
        return {"bytes": value.hex()}
    if depth < MAX_DEPTH:
        if kind is list:
            return [encode(item, depth + 1) for item in value]
        if kind is tuple:
            return {"tuple": [encode(item, depth + 1) for item in value]}
        if kind in (set, frozenset):
            return {"set": sorted((encode(item, depth + 1) for item in value), key=repr)}
        if kind is dict:
            pairs = [[encode(key, depth + 1), encode(item, depth + 1)] for key, item in value.items()]
            return {"dict": sorted(pairs, key=repr)}
        if kind is Record:
            return _record(value.kind, value.fields, depth)
        if kind.__module__.startswith("pyctr_lite."):
            return _record(kind.__qualname__, _fields(value), depth)
    if kind is Odd:
        return {"odd": [value.type, value.text]}
    return {"odd": [kind.__qualname__, _shown(value)]}


def _record(kind: str, fields: dict[str, Any], depth: int) -> Any:
    return {"record": [kind, {str(name): encode(item, depth + 1) for name, item in fields.items()}]}


def _fields(value: Any) -> dict[str, Any]:
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):  # a named one
        return dict(zip(getattr(type(value), "_fields", ()), value, strict=False))
    names = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    return {name: getattr(value, name) for name in names if hasattr(value, name)} | getattr(value, "__dict__", {})


def _shown(value: Any) -> str:
    try:
        text = repr(value)
        return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"
    except BaseException as error:
        return f"<its repr raises {type(error).__name__}>"


def decode(data: Any) -> Any:
    """Return the value of what `encode` made. Raises ValueError if it did not make it."""
    if data is None or isinstance(data, bool | int | str):
        return data
    if isinstance(data, list):
        return [decode(item) for item in data]
    if not isinstance(data, dict) or len(data) != 1:
        raise ValueError(f"not an encoded value: {data!r:.100}")
    [(kind, content)] = data.items()
    if kind == "float":
        return float(content)
    if kind == "bytes":
        return bytes.fromhex(content)
    if kind == "tuple":
        return tuple(decode(item) for item in content)
    if kind == "set":
        return {decode(item) for item in content}
    if kind == "dict":
        return {decode(key): decode(item) for key, item in content}
    if kind == "record":
        return Record(str(content[0]), {str(name): decode(item) for name, item in content[1].items()})
    if kind == "odd":
        return Odd(str(content[0]), str(content[1]))
    raise ValueError(f"not an encoded value: {kind!r:.100}")
