"""The container's view of the cgroup tree: its own group as the root."""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.cgroups import hierarchy
from pyctr_lite.linux import kernelfile
from pyctr_lite.rootfs import masks, target
from pyctr_lite.runtime import kernelplaces


def mount_cgroups(root_fd: int, destination: str, flags: int, *, own_namespace: bool) -> None:
    """Mount what the host has: version 2, or a directory with every hierarchy of version 1.

    In a cgroup namespace of its own the container's group is the root of what is mounted. Without one the group's
    directory is bound, for a mount would show the groups of the whole host, and be EPERM in a user namespace.
    """
    found = hierarchy.current()
    own_path = "" if own_namespace else kernelfile.read("/proc/self/cgroup").splitlines()[0].split(":", 2)[2]
    fd = target.make_mountpoint(root_fd, destination, directory=True)
    try:
        kernelplaces.check(root_fd, fd, destination, "cgroup")
        place = f"/proc/self/fd/{fd}"
        if found.kind != "v2":
            linux.mount("cgroup", place, "tmpfs", flags & ~linux.MS_RDONLY, "mode=755,size=64k", shown=destination)
        elif own_namespace:
            linux.mount("cgroup", place, "cgroup2", flags, shown=destination)
        else:
            linux.mount(found.mounts[0].mountpoint + own_path, place, None, linux.MS_BIND, shown=destination)
    finally:
        os.close(fd)
    base = target.open_in_root(root_fd, destination)  # the mount: the descriptor before it is of what lies below
    try:
        if found.kind == "v2":
            if not own_namespace:
                _set_flags(f"/proc/self/fd/{base}", flags, destination)
            return
        for (name, fstype, data), mount in zip(hierarchy.mounts(found), found.mounts, strict=True):
            os.mkdir(name, 0o555, dir_fd=base)
            place, shown = f"/proc/self/fd/{base}/{name}", f"{destination}/{name}"
            if own_namespace:
                linux.mount("cgroup", place, fstype, flags, data, shown=shown)
            else:
                linux.mount(mount.mountpoint + own_path, place, None, linux.MS_BIND, shown=shown)
                _set_flags(place, flags, shown)
        if flags & linux.MS_RDONLY:
            remount = flags | linux.MS_REMOUNT | linux.MS_BIND
            linux.mount(None, f"/proc/self/fd/{base}", None, remount, shown=destination)
    finally:
        os.close(base)


def _set_flags(place: str, flags: int, shown: str) -> None:
    """Give a bind its flags: the call that makes it takes none (mount(2), MS_BIND)."""
    linux.mount(
        None, place, None, linux.MS_BIND | linux.MS_REMOUNT | flags | masks.locked_flags(place), shown=shown
    )
