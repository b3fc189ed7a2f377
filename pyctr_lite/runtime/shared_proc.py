"""The procfs of a pid namespace that a new container joins, for a process outside that namespace.

A new procfs shows the pid namespace of the process that mounts it. The process that builds the container's root
stays outside (`init`), so it clones the procfs of another container in the same pid namespace.
"""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.runtime import channel as channels
from pyctr_lite.runtime import kernel_paths

_DIRECTORY = linux.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


def copy(pid_namespace: int) -> int:
    """Return a descriptor of a detached procfs mount for a pid namespace, given by a descriptor.

    Returns -1 if no process of that namespace has a whole procfs at /proc. The kernel clones only mounts of the
    caller's own mount namespace, so a child enters the mount namespace of each candidate.
    """
    wanted = os.fstat(pid_namespace)
    tried: set[tuple[int, int]] = set()
    for name in sorted(filter(str.isdecimal, os.listdir("/proc")), key=int):
        try:
            found, mounts = os.stat(f"/proc/{name}/ns/pid"), os.stat(f"/proc/{name}/ns/mnt")
            if not os.path.samestat(found, wanted) or (mounts.st_dev, mounts.st_ino) in tried:
                continue
            tried.add((mounts.st_dev, mounts.st_ino))
            root_fd = os.open(f"/proc/{name}/root", _DIRECTORY)
            mount_namespace = os.open(f"/proc/{name}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue  # the process has ended, or is a kernel thread
        with linux.closing(root_fd), linux.closing(mount_namespace):
            fd = _copy_in(root_fd, mount_namespace)
        if fd >= 0 and _shows(fd, wanted):
            return fd
        if fd >= 0:
            os.close(fd)
    return -1


def _copy_in(root_fd: int, mount_namespace: int) -> int:
    def act() -> tuple[int, ...]:
        channels.seal_imports()  # from the next line on `/` is the other container's
        linux.setns(mount_namespace, linux.CLONE_NEWNS)
        resolve = linux.RESOLVE_IN_ROOT | linux.RESOLVE_NO_SYMLINKS
        proc = linux.openat2(root_fd, "proc", linux.O_PATH | os.O_DIRECTORY, 0, resolve)
        flags = linux.OPEN_TREE_CLONE | linux.OPEN_TREE_CLOEXEC | linux.AT_EMPTY_PATH
        return (linux.open_tree("", flags, proc),)

    try:
        return channels.in_child(act, "the process that copies a procfs")[0]
    except channels.ChildError:
        return -1  # no /proc there, or the process has ended


def _shows(fd: int, namespace: os.stat_result) -> bool:
    """Return whether a descriptor is of a whole procfs that shows a pid namespace: by its first process."""
    if not kernel_paths.is_procfs(fd):
        return False
    try:
        return os.path.samestat(os.stat("1/ns/pid", dir_fd=fd), namespace)
    except OSError:
        return False
