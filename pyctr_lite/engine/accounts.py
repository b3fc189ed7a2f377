"""Users and groups by the image's own /etc/passwd and /etc/group: no NSS, nothing of the host's (DESIGN 9)."""

from __future__ import annotations

from pyctr_lite.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def resolve(user: str, extra_groups: list[str], passwd: str, group: str) -> dict[str, Any]:
    """The `process.user` object (OCI runtime spec) for `--user NAME|UID[:GROUP|GID]`, "" is root.

    Fails with InvalidArgument for a name that the texts do not have.
    """
    name, _, group_name = user.partition(":")
    name = name or "0"
    account = next(
        (row for row in _rows(passwd, 4) if row[0] == name or (name.isdigit() and row[2] == name)), None
    )
    if account is None and not name.isdigit():
        raise InvalidArgument(f"unable to find user {name}: no matching entries in the image's /etc/passwd")
    uid = int(account[2] if account else name)
    gid = int(account[3]) if account else 0
    groups = _rows(group, 3)
    additional = []
    if group_name:
        gid = _group_id(group_name, groups)
    elif account:
        additional = [int(row[2]) for row in groups if len(row) > 3 and account[0] in row[3].split(",")]
    additional += [_group_id(item, groups) for item in extra_groups]
    if uid >= 2**31 or gid >= 2**31:
        raise InvalidArgument(f"user {user}: uids and gids must be in range 0-2147483647")
    return {"uid": uid, "gid": gid, "additionalGids": sorted({gid, *additional})}


def _group_id(name: str, groups: list[list[str]]) -> int:
    for row in groups:
        if row[0] == name:
            return int(row[2])
    if name.isdigit():
        return int(name)
    raise InvalidArgument(f"unable to find group {name}: no matching entries in the image's /etc/group")


def _rows(text: str, fields: int) -> list[list[str]]:
    rows = []
    for line in text.splitlines():
        row = line.split(":")
        if len(row) >= fields and all(item.isdigit() for item in row[2:fields]):
            rows.append(row)
    return rows
