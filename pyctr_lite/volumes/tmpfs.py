"""Mount options of a tmpfs: flags of mount(2) and values of tmpfs(5)."""

from __future__ import annotations

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import number

DEFAULTS = ["noexec", "nosuid", "nodev", "rprivate"]
"""Docker's defaults, which the user's options override: programs cannot be executed without `exec`."""

# Each flag with its kind: the last flag of a kind wins.
_FLAGS = {
    "ro": "ro", "rw": "ro", "suid": "suid", "nosuid": "suid", "dev": "dev", "nodev": "dev",
    "exec": "exec", "noexec": "exec", "sync": "sync", "async": "sync", "dirsync": "dirsync",
    "mand": "mand", "nomand": "mand", "atime": "atime", "noatime": "atime",
    "diratime": "diratime", "nodiratime": "diratime", "relatime": "relatime", "norelatime": "relatime",
    "strictatime": "strictatime", "nostrictatime": "strictatime",
    "private": "propagation", "rprivate": "propagation", "shared": "propagation", "rshared": "propagation",
    "slave": "propagation", "rslave": "propagation",
    "unbindable": "propagation", "runbindable": "propagation",
}  # fmt: skip
_VALUES = frozenset(("size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"))


def merge_options(options: list[str]) -> list[str]:
    """Return the options in order; the last one of each kind wins.

    Raises InvalidArgument for an option or a value that tmpfs does not support.
    """
    merged: dict[str, str] = {}
    for option in options:
        name, equals, value = option.partition("=")
        kind = (name if name in _VALUES else None) if equals else _FLAGS.get(option)
        if option == "defaults":
            continue
        if kind is None:
            raise InvalidArgument(
                f'invalid tmpfs option "{name}"',
                "Options are rw, ro, exec, suid, dev, size=64m, mode=1777, uid=, gid=.",
            )
        if equals and not _is_value(name, value):
            raise InvalidArgument(f'invalid tmpfs option "{option}"', "Examples: size=64m, mode=1777, uid=1000.")
        merged.pop(kind, None)
        merged[kind] = option
    return list(merged.values())


def _is_value(name: str, value: str) -> bool:
    """Return whether the kernel accepts a value (tmpfs(5)); its EINVAL does not name the option."""
    if name == "mode":
        return number.is_octal(value, 0o77777)
    if name == "mpol":
        return value != ""
    digits = value[:-1] if name in ("size", "nr_inodes", "nr_blocks") and value[-1:] in tuple("kKmMgG%") else value
    return number.is_whole(digits, 2**64 - 1)
