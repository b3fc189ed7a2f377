"""`--userns`: a user namespace for a container, with host ids that no other container has.

As with podman: `auto` takes the lowest free range of what /etc/subuid and /etc/subgid give the user "containers",
else of the upper half of all ids; `container:ID` is in the user namespace of another one.
"""

from __future__ import annotations

import fcntl
import os

from pyctr_lite.engine.bundle import write
from pyctr_lite.engine.container import containers
from pyctr_lite.engine.state import record
from pyctr_lite.errors import Conflict, InvalidArgument
from pyctr_lite.formats import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.container.container import Container
    from pyctr_lite.engine.home import Home
    from pyctr_lite.engine.state.options import ContainerOptions

Range = list[int]
"""The first host id and how many: root inside is the first, users and groups alike."""
SIZE = 65536
_OWNER = "containers"
_DEFAULT = (2**31, 2**32 - 1)
"""As podman's manual has it; the last id of all means "no id"."""
_SPACES = {"network": "network", "pid": "PID", "ipc": "IPC", "uts": "UTS"}


def check(home: Home, options: ContainerOptions, account: dict[str, object]) -> None:
    """Refuse what a container with a user namespace of its own cannot have. Docker's rules, in its words."""
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
                f"--userns container:{containers.get(home, other).name} joins that one too",
            )
    size = ids[1] if ids else _size(options.userns)
    groups = account.get("additionalGids") or []
    assert isinstance(groups, list)
    for id in (account["uid"], account["gid"], *groups):
        if int(id) >= size:
            raise InvalidArgument(
                f"id {id} of the container's user has no host id: its user namespace has {size}",
                f"--userns auto:size={int(id) + 1} gives it more",
            )


def write_new(container: Container) -> None:
    """Give a container its range, and put it on disk before another one is given the same."""
    home, options = container.home, container.record.options
    # Not `containers`: who makes a container holds that already (lock.py).
    lock = os.open(home.paths.names, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        container.record.id_range = _of_other(home, options) or _free(_taken(home), _size(options.userns))
        write.write_new(container)
    finally:
        os.close(lock)


def _of_other(home: Home, options: ContainerOptions) -> Range | None:
    """The range of the container whose user namespace is joined, None where that is a new one."""
    kind, _, other = options.userns.partition(":")
    if kind != "container":
        return None
    found = containers.get(home, other)
    if found.record.id_range is None:
        raise InvalidArgument(
            f"container {found.name} has no user namespace of its own", "run that one with --userns auto"
        )
    ids: Range = found.record.id_range
    return ids


def _size(mode: str) -> int:
    """How many ids "auto" or "auto:size=N" asks for."""
    _, equals, size = mode.partition("=")
    if not equals:
        return SIZE
    if not number.is_whole(size, 2**31 - 1) or not int(size):
        raise InvalidArgument(f"invalid userns mode: {mode}", "auto:size=N takes a number of ids, as in 65536")
    return int(size)


def _taken(home: Home) -> list[Range]:
    ranges = []
    for id in home.names.ids():
        try:
            ids = record.Record.read(home.paths.container(id)).id_range
        except (FileNotFoundError, NotADirectoryError):
            continue  # it is being made, or removed: it has none yet, or no more
        if ids:
            ranges.append(ids)
    return ranges


def _free(taken: list[Range], size: int) -> Range:
    """The lowest free range of a size. Fails with Conflict where there is none."""
    for first, end in _pools():
        for start, count in sorted(taken):
            if first + size <= start:
                break
            first = max(first, start + count)
        if first + size <= end:
            return [first, size]
    raise Conflict(
        f"no {size} host ids in a row are free for a user namespace",
        f"remove containers with --userns auto, or give {_OWNER} more in /etc/subuid and /etc/subgid",
    )


def _pools() -> list[tuple[int, int]]:
    """First id and end of what may be given out: what both files have, for one range is for users and groups."""
    uids, gids = _subordinate("/etc/subuid"), _subordinate("/etc/subgid")
    if not uids and not gids:
        return [_DEFAULT]
    both = [(max(one[0], other[0]), min(one[1], other[1])) for one in uids for other in gids]
    return sorted((first, end) for first, end in both if first < end)


def _subordinate(path: str) -> list[tuple[int, int]]:
    """The ranges of the user "containers" in a file of subuid(5)."""
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
