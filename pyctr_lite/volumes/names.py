"""Volume names: what may name a directory of the store."""

from __future__ import annotations

from pyctr_lite.errors import InvalidArgument

ALPHANUMERIC = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_LATER = ALPHANUMERIC | frozenset("_.-")


def is_name(name: str) -> bool:
    """Whether a directory of the store may be a volume: not lost+found, nor what another program left there."""
    return len(name) > 1 and name[0] in ALPHANUMERIC and _LATER.issuperset(name)


def check_name(name: str) -> None:
    """Fail with InvalidArgument unless a name is `[a-zA-Z0-9][a-zA-Z0-9_.-]+`, so that it is no path."""
    if len(name) == 1:
        raise InvalidArgument(
            f"create {name}: volume name is too short, names should be at least two alphanumeric characters"
        )
    if not name or name[0] not in ALPHANUMERIC or not _LATER.issuperset(name):
        raise InvalidArgument(
            f'create {name}: "{name}" includes invalid characters for a local volume name, '
            'only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed',
            "If you intended to pass a host directory, use absolute path.",
        )
