"""The cgroup file systems of a container: its own cgroup is their root."""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.cgroups import hierarchy
from pyctr_lite.rootfs import masks, target
from pyctr_lite.runtime import kernel_paths


def mount_cgroups(root_fd: int, destination: str, flags: int, *, own_namespace: bool) -> None:
    """Mount the cgroup version that the host has: version 2, or a directory with every hierarchy of version 1.

    In a cgroup namespace of the container's own, its cgroup is the root of a new mount. Without one the cgroup's
    directory is bound: a new mount would show the cgroups of the whole host, and fails with EPERM in a user
    namespace.
    """
    found = hierarchy.current()
    # The hierarchies may have the cgroup at different paths: a relative cgroupsPath starts at the launcher's.
    own = {} if own_namespace else {mount.mountpoint: path for mount, path in hierarchy.groups_of_caller()}
    with linux.closing(target.make_mountpoint(root_fd, destination, directory=True)) as fd:
        kernel_paths.check(root_fd, fd, destination, "cgroup")
        path = f"/proc/self/fd/{fd}"
        if found.kind != "v2":
            linux.mount("cgroup", path, "tmpfs", flags & ~linux.MS_RDONLY, "mode=755,size=64k", shown=destination)
        elif own_namespace:
            linux.mount("cgroup", path, "cgroup2", flags, shown=destination)
        else:
            top = found.mounts[0].mountpoint
            linux.mount(top + own[top], path, None, linux.MS_BIND, shown=destination)
    # `fd` was of the directory below the new mount, so the mount is opened by its path.
    with linux.closing(target.open_in_root(root_fd, destination)) as base:
        if found.kind == "v2":
            if not own_namespace:
                _set_flags(f"/proc/self/fd/{base}", flags, destination)
            return
        for (name, fstype, data), mount in zip(hierarchy.mounts(found), found.mounts, strict=True):
            os.mkdir(name, 0o555, dir_fd=base)
            path, shown = f"/proc/self/fd/{base}/{name}", f"{destination}/{name}"
            if own_namespace:
                linux.mount("cgroup", path, fstype, flags, data, shown=shown)
            else:
                linux.mount(mount.mountpoint + own[mount.mountpoint], path, None, linux.MS_BIND, shown=shown)
                _set_flags(path, flags, shown)
        if flags & linux.MS_RDONLY:
            remount = flags | linux.MS_REMOUNT | linux.MS_BIND
            linux.mount(None, f"/proc/self/fd/{base}", None, remount, shown=destination)


def _set_flags(path: str, flags: int, shown: str) -> None:
    """Set a bind's flags, which the call that makes the bind ignores (mount(2), MS_BIND)."""
    remount = linux.MS_BIND | linux.MS_REMOUNT | flags | masks.locked_flags(path)
    linux.mount(None, path, None, remount, shown=shown)
