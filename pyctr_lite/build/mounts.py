"""`RUN --mount`: bind, cache, tmpfs, secret and ssh, in BuildKit's grammar."""

from __future__ import annotations

import os
from dataclasses import dataclass

from pyctr_lite import suggest
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import number, units
from pyctr_lite.volumes import fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

TYPES = ("bind", "cache", "tmpfs", "secret", "ssh")
SHARING = ("shared", "private", "locked")
_KEYS = {
    "dst": "target",
    "destination": "target",
    "src": "source",
    "ro": "readonly",
    "rw": "readwrite",
    **{key: key for key in "type from source target readonly readwrite id sharing required size env".split()},
    **{key: key for key in ("mode", "uid", "gid")},
}
_SWITCHES = ("readonly", "readwrite", "required")
_ALLOWED = {
    "sharing": ("cache",),
    "size": ("tmpfs",),
    "required": ("secret", "ssh"),
    "env": ("secret",),
    "mode": ("secret", "ssh", "cache"),
    "uid": ("secret", "ssh", "cache"),
    "gid": ("secret", "ssh", "cache"),
    "from": ("bind", "cache"),
}
"""The types of mount for which a key has a meaning; other keys are for all."""


@dataclass
class Mount:
    """One mount of a RUN. `origin` is the stage or image of `from=`; `mode` -1: the default of the type."""

    type: str = "bind"
    origin: str = ""
    source: str = ""
    target: str = ""
    readonly: bool = True
    id: str = ""
    sharing: str = "shared"
    required: bool = False
    size: int | None = None
    env: str = ""
    mode: int = -1
    uid: int = 0
    gid: int = 0


def check(text: str) -> None:
    """Check what does not depend on variables. Raises InvalidArgument with BuildKit's message."""
    parse(text, str) if "$" not in text else _fields(text)


def parse(text: str, expand: Callable[[str], str]) -> Mount:
    """Parse a value of --mount. `expand` replaces the variables in a value, but not in that of `from`.

    Raises InvalidArgument with BuildKit's message.
    """
    values = {key: "true" if value is None else expand(value) for key, value in _fields(text).items()}
    mount = Mount(values.pop("type", "bind").lower())
    if mount.type not in TYPES:
        hint = suggest.did_you_mean(mount.type, TYPES)
        raise InvalidArgument(f'unsupported mount type "{mount.type}"', hint or f"types are {', '.join(TYPES)}")
    mount.readonly = mount.type not in ("cache", "tmpfs")
    for key, value in values.items():
        if mount.type not in _ALLOWED.get(key, TYPES):
            if key in ("mode", "uid", "gid"):
                raise InvalidArgument(f'{key} not allowed for "{mount.type}" type mounts')
            raise InvalidArgument(f"unexpected key '{key}' for mount type '{mount.type}'")
        _set(mount, key, value)
    _finish(mount)
    return mount


def origin(text: str) -> str:
    """Return the value of `from`, "" without one. Raises InvalidArgument."""
    return _fields(text).get("from") or ""


def _fields(text: str) -> dict[str, str | None]:
    """Return the value of each key as it is written, None for a switch without one."""
    found: dict[str, str | None] = {}
    for field in fields.split_fields(text):
        name, equals, value = field.partition("=")
        key = _KEYS.get(name.lower())
        if key is None:
            hint = suggest.did_you_mean(name.lower(), _KEYS)
            raise InvalidArgument(f"unexpected key '{name}' in '{field}'", hint)
        if not equals and key not in _SWITCHES:
            raise InvalidArgument(f"invalid field '{field}' must be a key=value pair")
        if key == "from" and "$" in value:
            raise InvalidArgument("'from' doesn't support variable expansion, define alias stage instead")
        found[key] = value if equals else None
    return found


def _set(mount: Mount, key: str, value: str) -> None:
    if key in _SWITCHES:
        if value not in ("true", "1", "false", "0"):
            raise InvalidArgument(f"invalid value for {key}: {value}", "true or false")
        switch = value in ("true", "1")
        if key == "required":
            mount.required = switch
        else:
            mount.readonly = switch == (key == "readonly")
    elif key == "size":
        try:
            mount.size = units.bytes_size(value)
        except ValueError:
            raise InvalidArgument(f"invalid value for size: {value}", "write it like 64m or 1g") from None
    elif key in ("uid", "gid", "mode"):
        valid = number.is_octal(value, 0o7777) if key == "mode" else number.is_whole(value, 2**31 - 1)
        if not valid:
            raise InvalidArgument(f"invalid value {value} for {key}")
        setattr(mount, key, int(value, 8 if key == "mode" else 10))
    elif key == "sharing":
        if value.lower() not in SHARING:
            raise InvalidArgument(f'unsupported sharing value "{value}"', f"one of {', '.join(SHARING)}")
        mount.sharing = value.lower()
    else:
        setattr(mount, {"from": "origin"}.get(key, key), value)


def _finish(mount: Mount) -> None:
    """Check what the keys mean together, and set what follows from them."""
    if mount.type == "secret":
        if mount.source and mount.id:
            raise InvalidArgument("both source and id can't be set")
        mount.id = mount.id or mount.source or os.path.basename(mount.target)
        if not mount.id:
            raise InvalidArgument("invalid secret mount. one of source, target required")
        if not mount.target and not mount.env:
            mount.target = f"/run/secrets/{os.path.basename(mount.id)}"
    elif mount.type == "ssh":
        mount.id = mount.id or "default"
        if mount.source:
            raise InvalidArgument("ssh does not support source")
    elif not mount.target:
        raise InvalidArgument(f"a {mount.type} mount needs a target", "--mount=type=…,target=/PATH")
