"""Shapes of untrusted JSON documents: a type for each field, and the only checker of values against them.

A shape reads a value as Go's encoding/json reads it into Docker's structs, which define the meaning of an image:
null is the empty value, member names match in any case, an undeclared member is kept unchanged, and a value of
another type is an error. A checked value needs no further checks: strings have no lone surrogates (Go puts U+FFFD
there), lists have items of their type, numbers are in range.
"""

from __future__ import annotations

from pyctr_lite import jsonfile
from pyctr_lite.errors import BrokenArchive
from pyctr_lite.formats import timestamps
from pyctr_lite.images import reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_SIZE = 4 << 20
"""Maximum bytes of a document: the limit of containers/image for a manifest and for a config."""
INT64 = 2**63 - 1

_SHOWN = 40


class Mismatch(Exception):
    """A value that does not match its shape: the `path` of the field, and the expected value."""

    def __init__(self, expected: str, found: Any = None, *, missing: bool = False) -> None:
        super().__init__(expected)
        self.path, self.expected, self.found, self.missing = "", expected, found, missing

    def within(self, step: str) -> Mismatch:
        """Prepend the name of the enclosing member or item to the path."""
        self.path = step + (self.path if not self.path or self.path[0] == "[" else "." + self.path)
        return self

    def __str__(self) -> str:
        if self.missing:
            return f"{self.path} is missing"
        return f"{self.path or 'it'} must be {self.expected}, not {_show(self.found)}"


class Text:
    """A string. `nul`: whether it may contain NUL, which no path, argument or variable can."""

    def __init__(self, *, nul: bool = True) -> None:
        self.nul = nul

    def read(self, value: Any) -> Any:
        """Return the checked value. Raises Mismatch."""
        if value is None:
            return ""
        if not isinstance(value, str):
            raise Mismatch("a string", value)
        if not self.nul and "\0" in value:
            raise Mismatch("a string without NUL", value)
        return value


class Bool:
    """True or false."""

    def read(self, value: Any) -> Any:
        """Return the checked value. Raises Mismatch."""
        if value is None or isinstance(value, bool):
            return bool(value)
        raise Mismatch("true or false", value)


class Int:
    """A whole number from `low` to `high`, in `unit`; with `zero` also 0, for the default."""

    def __init__(self, low: int = -INT64, high: int = INT64, unit: str = "", *, zero: bool = False) -> None:
        self.low, self.high, self.unit, self.zero = low, high, unit, zero

    def read(self, value: Any) -> Any:
        """Return the checked value. Raises Mismatch."""
        if value is None:
            return 0
        expected = f"a whole number of {self.unit}" if self.unit else "a whole number"
        if not isinstance(value, int) or isinstance(value, bool):
            raise Mismatch(expected, value)
        if not self.low <= value <= self.high and not (self.zero and value == 0):
            raise Mismatch(f"{expected} from {self.low} to {self.high}{', or 0' if self.zero else ''}", value)
        return value


class Time:
    """A time in RFC 3339, "" for none."""

    def read(self, value: Any) -> Any:
        """Return the checked value. Raises Mismatch."""
        if value is None:
            return ""
        if not isinstance(value, str) or not timestamps.is_complete(value):
            raise Mismatch('a time such as "2024-05-01T10:00:00Z"', value)
        return value


class Digest:
    """The digest of a blob. The store supports only sha256."""

    def read(self, value: Any) -> Any:
        """Return the checked value. Raises Mismatch."""
        if not isinstance(value, str) or not reference.is_digest(value):
            raise Mismatch("a digest such as sha256:<64 hex digits>", value)
        if not value.startswith("sha256:"):
            raise Mismatch("a sha256 digest (no other algorithm is supported)", value)
        return value


class List:
    """An array of items of one shape. With `word`, a string stands for an array of one item (moby's strslice)."""

    def __init__(self, item: Any, *, word: bool = False) -> None:
        self.item, self.word = item, word

    def read(self, value: Any) -> Any:
        """Return the checked value. Raises Mismatch."""
        if value is None:
            return []
        if self.word and isinstance(value, str):
            value = [value]
        if not isinstance(value, list):
            raise Mismatch("an array of strings, or a string" if self.word else "an array", value)
        items = []
        for number, item in enumerate(value):
            try:
                items.append(self.item.read(item))
            except Mismatch as mismatch:
                raise mismatch.within(f"[{number}]") from None
        return items


class Map:
    """An object with arbitrary names: one shape for the names, one for the values."""

    def __init__(self, value: Any, *, name: Any = None) -> None:
        self.name, self.value = name or Text(), value

    def read(self, value: Any) -> Any:
        """Return the checked value. Raises Mismatch."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise Mismatch("an object", value)
        members = {}
        for key, item in value.items():
            try:
                members[self.name.read(key)] = self.value.read(item)
            except Mismatch as mismatch:
                raise mismatch.within(f"[{_show(key)}]") from None
        return members


class Object:
    """An object with declared members, of which `required` must be present; other members are kept unchanged."""

    def __init__(self, members: dict[str, Any], required: tuple[str, ...] = ()) -> None:
        self.members, self.required = members, required
        self.folded: dict[str, str] = {name.casefold(): name for name in members}

    def read(self, value: Any) -> Any:
        """Return the checked value. Raises Mismatch."""
        if value is None:
            value = {}
        if not isinstance(value, dict):
            raise Mismatch("an object", value)
        written: str
        found: dict[str, Any] = {}
        for written, item in value.items():
            key = written if written in self.members else self.folded.get(written.casefold(), written)
            shape = self.members.get(key)
            if shape is None:
                found[key] = item
            elif item is not None:
                try:
                    found[key] = shape.read(item)
                except Mismatch as mismatch:
                    raise mismatch.within(key) from None
        for name in self.required:
            if name not in found:
                raise Mismatch("", missing=True).within(name)
        return found


def read_file(shape: Any, path: str, name: str) -> Any:
    """Read a JSON file by its shape, as `read`. Raises FileNotFoundError."""
    with open(path, "rb", buffering=0) as file:
        content = bytearray()
        while len(content) <= MAX_SIZE and (part := file.read(MAX_SIZE + 1 - len(content))):
            content += part
    return read(shape, bytes(content), name)


def read(shape: Any, content: bytes, name: str) -> Any:
    """Read a JSON document by its shape. Raises BrokenArchive, with the document's name and the field's path."""
    if len(content) > MAX_SIZE:
        raise BrokenArchive(f"{name} has more than {MAX_SIZE} bytes, the maximum")
    try:
        text = content.decode(errors="replace")
        value = jsonfile.loads(text)
    except ValueError as error:
        raise BrokenArchive(f"{name} is damaged: {error}") from None
    return check(shape, _without_surrogates(value) if "\\ud" in text or "\\uD" in text else value, name)


def check(shape: Any, value: Any, name: str) -> Any:
    """Return a checked value. Raises BrokenArchive, with the document's name and the field's path."""
    try:
        return shape.read(value)
    except Mismatch as mismatch:
        raise BrokenArchive(f"{name}: {mismatch}") from None


def encode(value: Any) -> bytes:
    """Return a document as valid UTF-8. Invalid bytes (of a command-line argument) become U+FFFD, as in Go."""
    text = jsonfile.dumps(value)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _replace_surrogates(text).encode()


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else _replace_surrogates(value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value


def _replace_surrogates(text: str) -> str:
    return "".join("\ufffd" if "\ud800" <= letter <= "\udfff" else letter for letter in text)


def _show(value: Any) -> str:
    """Return a value for an error message: short JSON on one line."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "an array"
    text = jsonfile.dumps(value[: _SHOWN + 1] if isinstance(value, str) else value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
