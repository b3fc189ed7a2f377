"""The procfs of a pid namespace that a new container joins, for a process that does not enter that namespace.

A new procfs shows the pid namespace of the process that mounts it. The process that builds the container's root
stays outside (see `init`), so it takes a copy of the procfs that another container has of the same namespace.
"""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.runtime import channel as channels
from pyctr_lite.runtime import kernelplaces

_PLACE = linux.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


def copy(pid_namespace: int) -> int:
    """Return a descriptor of a procfs mount that is attached nowhere, for the pid namespace of a descriptor.

    -1 if no process has such a procfs at /proc. The kernel copies mounts of the caller's own mount namespace only,
    so a child enters the one of each process in question.
    """
    wanted = os.fstat(pid_namespace)
    tried: set[tuple[int, int]] = set()
    for name in sorted(filter(str.isdecimal, os.listdir("/proc")), key=int):
        try:
            found, mounts = os.stat(f"/proc/{name}/ns/pid"), os.stat(f"/proc/{name}/ns/mnt")
            if not os.path.samestat(found, wanted) or (mounts.st_dev, mounts.st_ino) in tried:
                continue
            tried.add((mounts.st_dev, mounts.st_ino))
            root = os.open(f"/proc/{name}/root", _PLACE)
            place = os.open(f"/proc/{name}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue  # it has ended, or is the kernel's own
        fd = _copy_in(root, place)
        os.close(root)
        os.close(place)
        if fd >= 0 and _is_of(fd, wanted):
            return fd
        if fd >= 0:
            os.close(fd)
    return -1


def _copy_in(root_fd: int, mount_namespace: int) -> int:
    ours, theirs = channels.pair()
    child = os.fork()
    if child == 0:
        try:
            linux.setns(mount_namespace, linux.CLONE_NEWNS)
            resolve = linux.RESOLVE_IN_ROOT | linux.RESOLVE_NO_SYMLINKS
            proc = linux.openat2(root_fd, "proc", linux.O_PATH | os.O_DIRECTORY, 0, resolve)
            flags = linux.OPEN_TREE_CLONE | linux.OPEN_TREE_CLOEXEC | linux.AT_EMPTY_PATH
            theirs.send({"type": "proc"}, (linux.open_tree("", flags, proc),))
        except OSError:
            pass
        finally:
            os._exit(0)
    theirs.close()
    received = ours.receive()
    ours.close()
    os.waitpid(child, 0)
    return received[1][0] if received else -1


def _is_of(fd: int, namespace: os.stat_result) -> bool:
    """Whether a descriptor is of a whole procfs that shows a pid namespace: by its first process."""
    if not kernelplaces.is_procfs(fd):
        return False
    try:
        return os.path.samestat(os.stat("1/ns/pid", dir_fd=fd), namespace)
    except OSError:
        return False
