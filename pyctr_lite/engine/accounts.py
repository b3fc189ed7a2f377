"""Users and groups by the image's own /etc/passwd and /etc/group: no NSS, nothing of the host's (DESIGN 9)."""

from __future__ import annotations

from pyctr_lite.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


_LIMIT = 2**31
"""Ids are below it, as in Docker: 4294967295 (-1) and what wraps round to 0 are no users."""


def resolve(user: str, extra_groups: list[str], passwd: str, group: str) -> dict[str, Any]:
    """Look up the `process.user` object (OCI runtime spec) for `--user NAME|UID[:GROUP|GID]`; "" is root.

    A number is an id, also if the image gives that number to another user as a name (CVE-2016-3697).
    Raises InvalidArgument for a name that the texts do not have and for a number that is too large.
    """
    name, _, group_name = user.partition(":")
    number = _number(name or "0", user)
    account = next(
        (row for row in _rows(passwd, 4) if (row[0] == name if number is None else int(row[2]) == number)), None
    )
    if number is None and account is None:
        raise InvalidArgument(f"unable to find user {name}: no matching entries in the image's /etc/passwd")
    uid = int(account[2]) if account else number
    gid = int(account[3]) if account else 0
    groups = _rows(group, 3)
    additional = []
    if group_name:
        gid = _group_id(group_name, groups, user)
    elif account:
        additional = [int(row[2]) for row in groups if len(row) > 3 and account[0] in row[3].split(",")]
    additional += [_group_id(item, groups, item) for item in extra_groups]
    return {"uid": uid, "gid": gid, "additionalGids": sorted({gid, *additional})}


def _group_id(name: str, groups: list[list[str]], shown: str) -> int:
    number = _number(name, shown)
    if number is not None:
        return number
    for row in groups:
        if row[0] == name:
            return int(row[2])
    raise InvalidArgument(f"unable to find group {name}: no matching entries in the image's /etc/group")


def _number(text: str, shown: str) -> int | None:
    if not (text.isascii() and text.isdigit()):
        return None
    if not _is_id(text):
        raise InvalidArgument(f"user {shown}: uids and gids must be in range 0-{_LIMIT - 1}")
    return int(text)


def _rows(text: str, fields: int) -> list[list[str]]:
    rows = (line.split(":") for line in text.splitlines())
    return [row for row in rows if len(row) >= fields and all(map(_is_id, row[2:fields]))]


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text.lstrip("0")) <= 10 and int(text) < _LIMIT
