"""Users and groups of an image, from its own /etc/passwd and /etc/group, never from NSS or the host."""

from __future__ import annotations

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MAX_ID = 2**31 - 1


def resolve(user: str, extra_groups: list[str], passwd: str, group: str) -> dict[str, Any]:
    """Return the `process.user` object (OCI runtime spec) for `--user NAME|UID[:GROUP|GID]`; "" is root.

    A number is always an id: an image cannot map it to another id with a user or group of that name
    (CVE-2016-3697; moby/sys, user, GetExecUser). Raises InvalidArgument if a name is missing in the texts or an id
    is out of range.
    """
    name, _, group_name = user.partition(":")
    uid = _id(name or "0")
    account = next(
        (row for row in _rows(passwd, 4) if (row[0] == name if uid is None else int(row[2]) == uid)), None
    )
    if account is not None:
        uid, gid = int(account[2]), int(account[3])
    elif uid is not None:
        gid = 0
    else:
        raise InvalidArgument(f"unable to find user {name}: no matching entries in the image's /etc/passwd")
    groups = _rows(group, 3)
    additional = []
    if group_name:
        gid = _group_id(group_name, groups)
    elif account:
        additional = [int(row[2]) for row in groups if len(row) > 3 and account[0] in row[3].split(",")]
    additional += [_group_id(item, groups) for item in extra_groups]
    return {"uid": uid, "gid": gid, "additionalGids": sorted({gid, *additional})}


def _group_id(name: str, groups: list[list[str]]) -> int:
    gid = _id(name)
    if gid is None:
        gid = next((int(row[2]) for row in groups if row[0] == name), None)
    if gid is None:
        raise InvalidArgument(f"unable to find group {name}: no matching entries in the image's /etc/group")
    return gid


def _id(text: str) -> int | None:
    """Parse an id as Go's Atoi does, and return None for a name. Raises InvalidArgument if it is out of range."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not digits or digits.strip("0123456789"):
        return None
    if not number.is_whole(digits, _MAX_ID) or (text[0] == "-" and int(digits)):
        raise InvalidArgument(f"user {text[: number.MAX_DIGITS]}: uids and gids must be in range 0-{_MAX_ID}")
    return int(digits)


def _rows(text: str, fields: int) -> list[list[str]]:
    """Return the lines as lists of fields, if they have enough of them and ids from the third one on."""
    rows = [line.strip().split(":") for line in text.split("\n")]
    return [
        row for row in rows if len(row) >= fields and all(number.is_whole(id, _MAX_ID) for id in row[2:fields])
    ]
