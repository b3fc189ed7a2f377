"""Volume names, which are also names of directories in the store."""

from __future__ import annotations

from pyctr_lite.errors import InvalidArgument

ALPHANUMERIC = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_CHARACTERS = ALPHANUMERIC | frozenset("_.-")


def is_name(name: str) -> bool:
    """Return whether a directory of the store may be a volume, unlike lost+found and files of other programs."""
    return len(name) > 1 and name[0] in ALPHANUMERIC and _CHARACTERS.issuperset(name)


def check_name(name: str) -> None:
    """Raise InvalidArgument unless a name matches `[a-zA-Z0-9][a-zA-Z0-9_.-]+`, so that it is never a path."""
    if len(name) == 1:
        raise InvalidArgument(
            f"create {name}: volume name is too short, names should be at least two alphanumeric characters"
        )
    if not name or name[0] not in ALPHANUMERIC or not _CHARACTERS.issuperset(name):
        raise InvalidArgument(
            f'create {name}: "{name}" includes invalid characters for a local volume name, '
            'only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed',
            "If you intended to pass a host directory, use absolute path.",
        )
