"""The cgroup file systems of a container: its own cgroup is their root."""

from __future__ import annotations

import errno
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
    paths = {} if own_namespace else {mount.mountpoint: path for mount, path in hierarchy.groups_of_caller()}
    with linux.closing(target.make_mountpoint(root_fd, destination, directory=True)) as fd:
        kernel_paths.check(root_fd, fd, destination, "cgroup")
        if found.kind == "v2":
            _mount_v2(found.mounts[0].mountpoint, paths, fd, flags, destination)
            return
        linux.mount("cgroup", f"/proc/self/fd/{fd}", "tmpfs", flags & ~linux.MS_RDONLY, _TMPFS, shown=destination)
    # `fd` was of the directory below the new mount, so the mount is opened by its path.
    with linux.closing(target.open_in_root(root_fd, destination)) as base:
        for (name, fstype, data), mount in zip(hierarchy.mounts(found), found.mounts, strict=True):
            os.mkdir(name, 0o555, dir_fd=base)
            path, shown = f"/proc/self/fd/{base}/{name}", f"{destination}/{name}"
            if own_namespace:
                linux.mount("cgroup", path, fstype, flags, data, shown=shown)
            else:
                source = mount.mountpoint + paths.get(mount.mountpoint, "")
                linux.mount(source, path, None, linux.MS_BIND, shown=shown)
                _set_flags(path, flags, shown)
            _link_controllers(base, name)
        if flags & linux.MS_RDONLY:
            remount = flags | linux.MS_REMOUNT | linux.MS_BIND
            linux.mount(None, f"/proc/self/fd/{base}", None, remount, shown=destination)


_TMPFS = "mode=755,size=64k"
_ATTACH = linux.MOVE_MOUNT_F_EMPTY_PATH | linux.MOVE_MOUNT_T_EMPTY_PATH


def _mount_v2(mountpoint: str, paths: dict[str, str], fd: int, flags: int, destination: str) -> None:
    """Mount version 2 on what `fd` is open at, or bind the group in `paths`."""
    path = f"/proc/self/fd/{fd}"
    if not paths:
        try:
            linux.mount("cgroup", path, "cgroup2", flags, shown=destination)
        except OSError as error:
            # It is mounted there already: /sys was bound with all below it. Another file system in between helps.
            if error.errno != errno.EBUSY:
                raise
            _mount_between(fd, flags, destination)
        return
    source = linux.open_tree(
        mountpoint + paths.get(mountpoint, ""), linux.OPEN_TREE_CLONE | linux.OPEN_TREE_CLOEXEC
    )
    with linux.closing(source):
        linux.move_mount(source, "", fd, "", _ATTACH, shown=destination)
        _set_flags(f"/proc/self/fd/{source}", flags, destination)


def _mount_between(fd: int, flags: int, destination: str) -> None:
    with linux.closing(masks.make_empty()) as tree:
        linux.move_mount(tree, "", fd, "", _ATTACH, shown=destination)
        linux.mount("cgroup", f"/proc/self/fd/{tree}", "cgroup2", flags, shown=destination)


def _link_controllers(base: int, name: str) -> None:
    """Make a link for each of several controllers in one hierarchy: cpu -> cpu,cpuacct."""
    for controller in name.split(",") if "," in name else ():
        try:
            os.symlink(name, controller, dir_fd=base)
        except FileExistsError:
            pass


def _set_flags(path: str, flags: int, shown: str) -> None:
    """Set a bind's flags, which the call that makes the bind ignores (mount(2), MS_BIND)."""
    remount = linux.MS_BIND | linux.MS_REMOUNT | flags | masks.locked_flags(path)
    linux.mount(None, path, None, remount, shown=shown)
