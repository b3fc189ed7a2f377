"""`--userns`: a user namespace for a container, with host ids that no other container has.

As in podman, `auto` takes the lowest free range of the ids that /etc/subuid and /etc/subgid give the user
"containers", or of the upper half of all ids if they give none. `container:ID` joins the namespace of another
container.
"""

from __future__ import annotations

import fcntl
import os

from pyctr_lite.engine.bundle import write
from pyctr_lite.engine.container import containers
from pyctr_lite.engine.state import record
from pyctr_lite.errors import BrokenRecord, Conflict, InvalidArgument
from pyctr_lite.formats import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.container.container import Container
    from pyctr_lite.engine.home import Home
    from pyctr_lite.engine.state.options import ContainerOptions

Range = list[int]
"""The first host id and the number of ids, for users and groups alike. Root inside has the first one."""
SIZE = 65536
_OWNER = "containers"
_DEFAULT = (2**31, 2**32 - 1)
"""The default of podman's manual. The last of all ids is excluded: to the kernel it means "no id"."""
_SPACES = {"network": "network", "pid": "PID", "ipc": "IPC", "uts": "UTS"}


def check(home: Home, options: ContainerOptions, account: dict[str, object]) -> None:
    """Check that the options suit a user namespace. Raises InvalidArgument. Rules and texts are Docker's."""
    if options.privileged:
        raise InvalidArgument(
            "privileged mode is incompatible with user namespaces",
            "run it with --userns host when running privileged mode",
        )
    for mode in ("network", "pid", "ipc"):
        if getattr(options, mode) == "host":
            raise InvalidArgument(
                f"cannot share the host's {_SPACES[mode]} namespace when user namespaces are enabled",
                "run it with --userns host",
            )
    ids = _of_other(home, options)
    for mode, name in _SPACES.items():
        kind, _, other = getattr(options, mode).partition(":")
        if kind == "container" and (ids is None or containers.get(home, other).record.id_range != ids):
            raise InvalidArgument(
                f"cannot join the {name} namespace of container {containers.get(home, other).name}: "
                "it belongs to another user namespace",
                f"join that namespace as well: --userns container:{containers.get(home, other).name}",
            )
    size = ids[1] if ids else _size(options.userns)
    groups = account.get("additionalGids") or []
    assert isinstance(groups, list)
    for id in (account["uid"], account["gid"], *groups):
        if int(id) >= size:
            raise InvalidArgument(
                f"id {id} of the container's user has no host id: its user namespace has {size} ids",
                f"use a larger one: --userns auto:size={int(id) + 1}",
            )


def write_new(container: Container) -> None:
    """Choose a container's id range and write the container to disk, under a lock: no two get the same range."""
    home, options = container.home, container.record.options
    # The lock is on `names`, because `create` already holds the one on `containers` (lock.py).
    os.chmod(home.paths.names, 0o700)  # whoever can open the directory can hold its lock
    lock = os.open(home.paths.names, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        container.record.id_range = _of_other(home, options) or _free(_taken(home), _size(options.userns))
        write.write_new(container)
    finally:
        os.close(lock)


def _of_other(home: Home, options: ContainerOptions) -> Range | None:
    """Return the range of the container whose user namespace is joined, None for a new user namespace."""
    kind, _, other = options.userns.partition(":")
    if kind != "container":
        return None
    found = containers.get(home, other)
    if found.record.id_range is None:
        raise InvalidArgument(
            f"container {found.name} has no user namespace of its own", f"run {found.name} with --userns auto"
        )
    ids: Range = found.record.id_range
    return ids


def _size(mode: str) -> int:
    """Return the number of ids for "auto" or "auto:size=N". Raises InvalidArgument."""
    _, equals, size = mode.partition("=")
    if not equals:
        return SIZE
    if not number.is_whole(size, 2**31 - 1) or not int(size):
        raise InvalidArgument(f"invalid userns mode: {mode}", "N in auto:size=N is a number of ids, such as 65536")
    return int(size)


def _taken(home: Home) -> list[Range]:
    ranges = []
    for id in home.names.ids():
        try:
            ids = record.Record.read(home.paths.container(id)).id_range
        except (FileNotFoundError, NotADirectoryError, BrokenRecord):
            continue  # it is being created or removed, and has no range, or is damaged
        if ids:
            ranges.append(ids)
    return ranges


def _free(taken: list[Range], size: int) -> Range:
    """Return the lowest free range of a size. Raises Conflict if no range is large enough."""
    for first, end in _pools():
        for start, count in sorted(taken):
            if first + size <= start:
                break
            first = max(first, start + count)
        if first + size <= end:
            return [first, size]
    raise Conflict(
        f"no free range of {size} consecutive host ids",
        f"remove containers with --userns auto, or give the user {_OWNER} more ids in /etc/subuid and /etc/subgid",
    )


def _pools() -> list[tuple[int, int]]:
    """Return first id and end of each pool: the ids in both files, because a range is for users and groups."""
    uids, gids = _subordinate("/etc/subuid"), _subordinate("/etc/subgid")
    if not uids and not gids:
        return [_DEFAULT]
    both = [(max(one[0], other[0]), min(one[1], other[1])) for one in uids for other in gids]
    return sorted((first, end) for first, end in both if first < end)


def _subordinate(path: str) -> list[tuple[int, int]]:
    """Return first id and end of each range of the user "containers" in a file of subuid(5)."""
    try:
        with open(path, errors="surrogateescape") as file:
            lines = [line.strip().split(":") for line in file]
    except OSError:
        return []
    return [
        (int(fields[1]), min(int(fields[1]) + int(fields[2]), _DEFAULT[1]))
        for fields in lines
        if len(fields) == 3
        and fields[0] == _OWNER
        and number.is_whole(fields[1], _DEFAULT[1])
        and number.is_whole(fields[2])
    ]
