"""Joining namespaces that exist: those of a process, or one pinned by a path."""

from __future__ import annotations

import errno
import os

from pyctr_lite import linux
from pyctr_lite.namespaces import kinds


def open_namespace(kind: str, *, pid: int | None = None, path: str | None = None) -> int:
    """A descriptor of a namespace, by a process in it or by the path of an nsfs file.

    Fails with FileNotFoundError where there is no such process or file. Source: namespaces(7).
    """
    return os.open(path or f"/proc/{pid}/ns/{kinds.BY_NAME[kind].proc}", os.O_RDONLY | os.O_CLOEXEC)


def open_all(pid: int) -> dict[str, int]:
    """Descriptors of those of a process's namespaces that are not the caller's own, by kind."""
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
    """Close the descriptors of `open_all`."""
    for fd in targets.values():
        os.close(fd)
    targets.clear()


def join(targets: dict[str, int]) -> None:
    """Move the caller into others' namespaces; into a pid or time namespace move only its later children.

    The user namespace comes in the middle: what the caller's own privileges reach is joined before it (a
    network namespace that the host owns is EPERM afterwards), what is left is joined after it, with the
    privileges that it gives. Source: setns(2), user_namespaces(7).
    """
    names = {kinds.BY_NAME[name].proc: fd for name, fd in targets.items()}
    user = names.pop("user", None)
    left = {}
    for name, fd in names.items():
        try:
            linux.setns(fd, kinds.BY_NAME[name].flag)
        except OSError as error:
            if user is None or error.errno != errno.EPERM:
                raise
            left[name] = fd
    if user is not None:
        linux.setns(user, linux.CLONE_NEWUSER)
        for name, fd in left.items():
            linux.setns(fd, kinds.BY_NAME[name].flag)
