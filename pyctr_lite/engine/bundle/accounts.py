"""Users and groups of an image, from its own /etc/passwd and /etc/group, never from NSS or the host."""

from __future__ import annotations

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MOST = 2**31 - 1


def resolve(user: str, extra_groups: list[str], passwd: str, group: str) -> dict[str, Any]:
    """Return the `process.user` object (OCI runtime spec) for `--user NAME|UID[:GROUP|GID]`; "" is root.

    A number is a number: an image cannot give it to another id by a user or group of that name (CVE-2016-3697;
    moby/sys, user, GetExecUser). Raises InvalidArgument for a name that the texts do not have and for an id that
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
    """Return the id that a text is for Go's Atoi, None for a name. Raises InvalidArgument if out of range."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not digits or digits.strip("0123456789"):
        return None
    if not number.is_whole(digits, _MOST) or (text[0] == "-" and int(digits)):
        raise InvalidArgument(f"user {text[: number.MAX_DIGITS]}: uids and gids must be in range 0-{_MOST}")
    return int(digits)


def _rows(text: str, fields: int) -> list[list[str]]:
    """The lines with so many fields at least, of which the third and later ones that are asked for are ids."""
    rows = [line.strip().split(":") for line in text.split("\n")]
    return [row for row in rows if len(row) >= fields and all(number.is_whole(id, _MOST) for id in row[2:fields])]
