"""The fields of `--mount`: comma-separated `key=value`, in double quotes if a field contains a comma."""

from __future__ import annotations

import os

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import number, units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctr_lite.volumes.spec import MountSpec


def split_fields(text: str) -> list[str]:
    """Split a line into fields as in RFC 4180: `""` in a quoted field is a quote.

    Raises InvalidArgument for a quote within an unquoted field, or a missing closing quote.
    """
    fields, position = [], 0
    while True:
        if text.startswith('"', position):
            field, position = _quoted(text, position + 1)
        else:
            end = text.find(",", position)
            end = len(text) if end < 0 else end
            field, quote = text[position:end], text.find('"', position, end)
            if quote >= 0:
                raise InvalidArgument(f'parse error on line 1, column {quote + 1}: bare " in non-quoted field')
            position = end
        fields.append(field)
        if position >= len(text):
            return fields
        position += 1  # the comma


def _quoted(text: str, position: int) -> tuple[str, int]:
    """Read a field from behind its opening quote; return it and the position after its closing quote."""
    field = ""
    while (quote := text.find('"', position)) >= 0:
        field += text[position:quote]
        if not text.startswith('"', quote + 1):
            if quote + 1 < len(text) and text[quote + 1] != ",":
                break
            return field, quote + 1
        field, position = field + '"', quote + 2
    column = (quote if quote >= 0 else len(text)) + 1
    raise InvalidArgument(f'parse error on line 1, column {column}: extraneous or missing " in quoted-field')


def set_field(spec: MountSpec, field: str) -> str:
    """Apply one `key[=value]` to a spec; return the key, or `key=value` if `spec.parse_mount` checks the value.

    Raises InvalidArgument with Docker's message.
    """
    key, equals, value = field.partition("=")
    if key != key.strip():
        raise InvalidArgument(f"invalid option '{key.strip()}' in '{field}': option should not have whitespace")
    if equals and not value.strip():
        raise InvalidArgument(f"invalid value for '{key}': value is empty")
    if value != value.strip():
        raise InvalidArgument(f"invalid value for '{key}' in '{field}': value should not have whitespace")
    key = key.lower()
    if key in _SWITCHES:
        _SWITCHES[key](spec, _boolean(key, value) if equals else True)
    elif not equals:
        raise InvalidArgument(f"invalid field '{field}' must be a key=value pair")
    elif key in _VALUES:
        _VALUES[key](spec, value)
    else:
        raise InvalidArgument(
            f"unknown option '{key}' in '{field}'", f"Options: {', '.join((*_VALUES, *_SWITCHES))}."
        )
    return f"{key}={value}" if key == "bind-recursive" else key


def _boolean(key: str, value: str) -> bool:
    if value not in ("1", "true", "0", "false"):
        raise InvalidArgument(
            f"invalid value for '{key}': invalid boolean value (\"{value}\"): "
            'must be one of "true", "1", "false", or "0" (default "true")'
        )
    return value in ("1", "true")


def _set_source(spec: MountSpec, value: str) -> None:
    spec.source = os.path.abspath(value) if value.startswith(".") else value


def _set_bind_recursive(spec: MountSpec, value: str) -> None:
    if value not in ("enabled", "disabled", "writable", "readonly"):
        raise InvalidArgument(
            f'invalid value for bind-recursive: {value} (must be "enabled", "disabled", "writable", or "readonly")'
        )
    spec.recursive = value != "disabled"
    spec.readonly_recursive = value != "writable"


def _set_driver(spec: MountSpec, value: str) -> None:
    if value != "local":
        raise InvalidArgument(
            f'error looking up volume plugin {value}: plugin "{value}" not found', "The only driver is local."
        )


def _set_tmpfs_size(spec: MountSpec, value: str) -> None:
    try:
        spec.tmpfs_size = units.bytes_size(value)
    except ValueError:
        raise InvalidArgument(f"invalid value for tmpfs-size: {value}", "Write it like 64m or 1g.") from None


def _set_tmpfs_mode(spec: MountSpec, value: str) -> None:
    if not number.is_octal(value, 2**32 - 1):
        raise InvalidArgument(f"invalid value for tmpfs-mode: {value}", "Write it in octal, like 1777 or 0700.")
    spec.tmpfs_mode = int(value, 8)


def _add_pair(pairs: dict[str, str], value: str) -> None:
    name, _, content = value.partition("=")
    if name:
        pairs[name] = content


def _setter(name: str, convert: Callable[[str], str] = str) -> Callable[[MountSpec, str], None]:
    return lambda spec, value: setattr(spec, name, convert(value))


_VALUES: dict[str, Callable[[MountSpec, str], None]] = {
    "type": _setter("type", str.lower),
    **dict.fromkeys(("source", "src"), _set_source),
    **dict.fromkeys(("target", "dst", "destination"), _setter("target")),
    "bind-propagation": _setter("propagation", str.lower),
    "bind-recursive": _set_bind_recursive,
    "volume-subpath": _setter("subpath"),
    "volume-driver": _set_driver,
    "volume-label": lambda spec, value: _add_pair(spec.labels, value),
    "volume-opt": lambda spec, value: _add_pair(spec.volume_options, value),
    "tmpfs-size": _set_tmpfs_size,
    "tmpfs-mode": _set_tmpfs_mode,
    "consistency": lambda spec, value: None,  # only for Docker Desktop's shared folders
}

_SWITCHES: dict[str, Callable[[MountSpec, bool], None]] = {
    **dict.fromkeys(("readonly", "ro"), lambda spec, value: setattr(spec, "readonly", value)),
    "bind-create-src": lambda spec, value: setattr(spec, "create_source", value),
    "bind-nonrecursive": lambda spec, value: setattr(spec, "recursive", not value),
    "idmap": lambda spec, value: setattr(spec, "idmap", value),
    "volume-nocopy": lambda spec, value: setattr(spec, "nocopy", value),
}
