"""Joining existing namespaces: those of a process, or one pinned by a path."""

from __future__ import annotations

import errno
import os

from pyctr_lite import linux
from pyctr_lite.namespaces import kinds


def open_namespace(kind: str, *, pid: int | None = None, path: str | None = None) -> int:
    """Open a namespace, given a process in it or the path of an nsfs file.

    Raises FileNotFoundError if there is no such process or file. Source: namespaces(7).
    """
    return os.open(path or f"/proc/{pid}/ns/{kinds.BY_NAME[kind].proc}", os.O_RDONLY | os.O_CLOEXEC)


def open_all(pid: int) -> dict[str, int]:
    """Open those namespaces of a process that the caller is not in. Returns descriptors by kind."""
    own, targets = kinds.identify(), {}
    try:
        for name, inode in kinds.identify(pid).items():
            if own.get(name) != inode:
                targets[name] = open_namespace(name, pid=pid)
    except BaseException:
        close_all(targets)
        raise
    return targets


def close_all(targets: dict[str, int]) -> None:
    """Close the descriptors from `open_all`. Idempotent."""
    for fd in targets.values():
        os.close(fd)
    targets.clear()


def join(targets: dict[str, int]) -> None:
    """Move the caller into existing namespaces; a pid or time namespace takes only the caller's later children.

    `targets` maps a kind to a descriptor of the namespace. The user namespace comes in the middle: before it come
    the namespaces that the caller's own privileges suffice for (a network namespace owned by the host would fail
    with EPERM afterwards), after it those that need the privileges it grants. Raises KeyError for an unknown kind.
    Source: setns(2), user_namespaces(7).
    """
    names = {kinds.BY_NAME[name].proc: fd for name, fd in targets.items()}
    user = names.pop("user", None)
    deferred = {}
    for name, fd in names.items():
        try:
            linux.setns(fd, kinds.BY_NAME[name].flag)
        except OSError as error:
            if user is None or error.errno != errno.EPERM:
                raise
            deferred[name] = fd
    if user is not None:
        linux.setns(user, linux.CLONE_NEWUSER)
        for name, fd in deferred.items():
            linux.setns(fd, kinds.BY_NAME[name].flag)
