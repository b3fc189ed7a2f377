"""Options of a tmpfs: flags of mount(2) and values of tmpfs(5), merged so that the last of a kind wins."""

from __future__ import annotations

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import number

DEFAULTS = ["noexec", "nosuid", "nodev", "rprivate"]
"""What Docker sets before the user's options: a tmpfs takes no programs unless `exec` is given."""

# Each flag with the kind it belongs to: of a kind, the last one counts.
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
_SUFFIXES = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}


def merge_options(options: list[str]) -> list[str]:
    """The options in order, each kind once. Fails with InvalidArgument for one that a tmpfs does not take."""
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
            raise InvalidArgument(f'invalid tmpfs option "{option}"', "It is as in size=64m, mode=1777, uid=1000.")
        merged.pop(kind, None)
        merged[kind] = option
    return list(merged.values())


def _is_value(name: str, value: str) -> bool:
    """Whether the kernel takes a value (tmpfs(5)): it only says EINVAL, and not of which."""
    if name == "mode":
        return 0 < len(value) <= 5 and set(value) <= set("01234567")
    if name == "mpol":
        return value != ""
    digits = value[:-1] if name in ("size", "nr_inodes", "nr_blocks") and value[-1:] in tuple("kKmMgG%") else value
    return number.is_whole(digits, 2**64 - 1)


def parse_size(text: str) -> int:
    """Bytes of a size in Docker's grammar: `64m`, `1.5g`, `512 KiB`. Fails with ValueError."""
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    suffix = text[len(digits) :].lower()
    unit = suffix[:1] if suffix[1:] in ("", "b", "ib") and suffix not in ("bb", "bib") else "?"
    try:
        size = number.decimal(digits.removesuffix(" ")) * _SUFFIXES[unit]
    except (ValueError, KeyError):
        raise ValueError(f"invalid size: '{text}'") from None
    return int(min(size, number.INT64_MAX))
