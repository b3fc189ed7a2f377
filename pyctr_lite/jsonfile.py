"""JSON on disk: parsed fast, written atomically, readable with `cat`.

Importing Python's `json` takes 9 ms (it needs `re`), as long as starting Python. This module uses the C scanner
below it directly, or `json` itself on a Python without that scanner.
"""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_DEPTH = 100
"""Maximum nesting of arrays and objects. Python's own limit is its call stack, so it depends on the caller."""

try:
    from _json import encode_basestring, make_scanner
except ImportError:  # not CPython
    make_scanner = None  # type: ignore[assignment,misc]


class RawJson(str):
    """A value that is already JSON text: `dumps` copies it unchanged into the enclosing value."""

    __slots__ = ()


class _ScannerOptions:
    """The attributes of a JSONDecoder that `_json.make_scanner` reads."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_int = int
    memo: dict[str, str] = {}

    @staticmethod
    def parse_float(digits: str) -> float:
        number = float(digits)
        if number in (float("inf"), float("-inf")):
            raise ValueError(f"{digits[:40]} is out of range")
        return number

    @staticmethod
    def parse_constant(name: str) -> float:
        raise ValueError(f"{name} is not JSON")


def loads(text: str | bytes) -> Any:
    """Parse a JSON text. Raises ValueError, with the offset, if it is not JSON or nested more than MAX_DEPTH."""
    if isinstance(text, bytes):
        text = text.decode(errors="surrogateescape")
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(text)
    if make_scanner is None:
        import json

        return json.loads(text, parse_float=_ScannerOptions.parse_float)
    start = len(text) - len(text.lstrip(" \t\n\r"))
    try:
        value, end = make_scanner(_ScannerOptions)(text, start)  # type: ignore[arg-type]
    except StopIteration as error:
        raise ValueError(f"not JSON at character {error.value}") from None
    except (ValueError, SystemError) as error:
        # Python 3.11's scanner raises SystemError unless json.decoder, which has its error class, is imported.
        reason = "it is truncated, or has an extra character" if type(error) is SystemError else str(error)
        raise ValueError(f"not JSON: {reason}") from None
    if text[end:].strip(" \t\n\r"):
        raise ValueError(f"more text after the JSON value, at character {end}")
    return value


def _check_depth(text: str) -> None:
    """Raise ValueError if brackets outside strings are nested too deep: the scanner recurses for each."""
    outside = "".join(text.replace("\\\\", "").replace('\\"', "").split('"')[::2])
    depth = 0
    for part in outside.replace("{", "[").split("[")[1:]:
        depth += 1
        if depth > MAX_DEPTH:
            raise ValueError(f"JSON is nested more than {MAX_DEPTH} deep")
        depth -= part.count("]") + part.count("}")


def dumps(value: Any, indent: int | str | None = None) -> str:
    """Return the JSON text of a value, in the order of its keys; with `indent`, one member per line.

    `indent` is what each line begins with at each depth, or a number of spaces.

    Raises ValueError if the value is nested too deep, TypeError if it holds an object without a JSON type.
    """
    if make_scanner is None:
        import json

        value = _parse_raw(value, 0)
        return json.dumps(value, indent=indent, ensure_ascii=False, separators=None if indent else (",", ":"))
    out: list[str] = []
    _write(value, out, indent if isinstance(indent, str) else " " * (indent or 0), 0)
    return "".join(out)


def _parse_raw(value: Any, depth: int) -> Any:
    if isinstance(value, RawJson):
        return loads(value)
    if not isinstance(value, dict | list | tuple) or not value:
        return value
    if depth >= MAX_DEPTH:
        raise ValueError(f"nested more than {MAX_DEPTH} deep")
    if isinstance(value, dict):
        return {key: _parse_raw(item, depth + 1) for key, item in value.items()}
    return [_parse_raw(item, depth + 1) for item in value]


def _write(value: Any, out: list[str], indent: str, depth: int) -> None:
    if isinstance(value, str):
        out.append(value if isinstance(value, RawJson) else encode_basestring(value))
    elif value is None:
        out.append("null")
    elif value is True:
        out.append("true")
    elif value is False:
        out.append("false")
    elif isinstance(value, int):
        out.append(int.__repr__(value))
    elif isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            raise ValueError(f"{value} is not JSON")
        out.append(float.__repr__(value))
    elif isinstance(value, dict):
        _write_members(
            [(encode_basestring(str(key)) + (": " if indent else ":"), item) for key, item in value.items()],
            "{}",
            out,
            indent,
            depth,
        )
    elif isinstance(value, list | tuple):
        _write_members([("", item) for item in value], "[]", out, indent, depth)
    else:
        raise TypeError(f"{type(value).__name__} is not JSON")


def _write_members(members: list[tuple[str, Any]], brackets: str, out: list[str], indent: str, depth: int) -> None:
    if not members:
        out.append(brackets)
        return
    if depth >= MAX_DEPTH:
        raise ValueError(f"nested more than {MAX_DEPTH} deep")
    out.append(brackets[0])
    for number, (key, item) in enumerate(members):
        if number:
            out.append(",")
        if indent:
            out.append("\n" + indent * (depth + 1))
        out.append(key)
        _write(item, out, indent, depth + 1)
    if indent:
        out.append("\n" + indent * depth)
    out.append(brackets[1])


def read(path: str) -> Any:
    """Read the value in a JSON file. Raises FileNotFoundError, or ValueError with the file's path."""
    with open(path, "rb") as file:
        content = file.read()
    try:
        return loads(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def write(path: str, value: Any, mode: int = 0o644, *, durable: bool = False) -> None:
    """Replace a JSON file atomically: a reader sees the old content or the new, never a part.

    `durable` also waits until the data is on disk (fsync), for files that must survive a power failure. A file in
    the place of the temporary one is removed: another user may have made it, who could read what is written.
    """
    temporary = f"{path}.{os.getpid()}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        try:
            fd = os.open(temporary, flags, mode)
        except FileExistsError:
            os.unlink(temporary)
            fd = os.open(temporary, flags, mode)
        try:
            content = (dumps(value, indent=2) + "\n").encode(errors="surrogateescape")
            while content:
                content = content[os.write(fd, content) :]
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except BaseException:
        try:
            os.unlink(temporary)
        except OSError:
            pass
        raise


def rewrite(path: str, value: Any) -> None:
    """Replace a JSON file, in place if the disk is full.

    For a change that frees space or records a past event, and must not fail on a full disk. Fails with ENOSPC
    as `overwrite` does.
    """
    try:
        write(path, value)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        overwrite(path, value)


def overwrite(path: str, value: Any) -> None:
    """Write a JSON file into the blocks it already has: `write` fails on a full disk.

    Fails with ENOSPC if the file is missing or has too few blocks, and leaves it unchanged.
    """
    content = dumps(value).encode(errors="surrogateescape") + b"\n"
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path) from None
    try:
        if len(content) > os.fstat(fd).st_blocks * 512:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        # Pad with spaces: a concurrent reader finds valid JSON both before and after the truncation.
        os.pwrite(fd, content.ljust(os.fstat(fd).st_size), 0)
        os.ftruncate(fd, len(content))
    finally:
        os.close(fd)
