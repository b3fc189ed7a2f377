"""Idmapped mounts: files appear with the ids of a user namespace and keep their own ids on disk.

In a mount with the id map of a user namespace, a file of user 5 on disk belongs to the host id that 5 maps to;
a file that this host id creates belongs to 5 on disk. Source: mount_setattr(2), "ID-mapped mounts"; overlayfs.rst.
"""

from __future__ import annotations

import errno
import os

from pyctr_lite import linux
from pyctr_lite.errors import PyctrError
from pyctr_lite.linux import mountinfo
from pyctr_lite.rootfs import overlay


def clone_mount(path: str, userns_fd: int, *, recursive: bool = False, idmap_recursive: bool = False) -> int:
    """Clone the mount at `path` with the ids of a user namespace; return its descriptor, not attached yet.

    `recursive` includes the mounts below; `idmap_recursive` maps their ids as well.
    Raises PyctrError if the file system does not support idmapped mounts.
    """
    flags = linux.OPEN_TREE_CLONE | linux.OPEN_TREE_CLOEXEC | (linux.AT_RECURSIVE if recursive else 0)
    fd = linux.open_tree(path, flags)
    try:
        flags = linux.AT_EMPTY_PATH | (linux.AT_RECURSIVE if idmap_recursive else 0)
        linux.mount_setattr(fd, "", flags, set=linux.MOUNT_ATTR_IDMAP, userns_fd=userns_fd)
    except OSError as error:
        os.close(fd)
        if error.errno != errno.EINVAL:
            raise
        path = os.path.realpath(path)  # it may be /proc/self/fd/N
        fstype = mountinfo.of_path(path).fstype
        raise PyctrError(
            f"the ids of {path} cannot be mapped: {fstype} does not support idmapped mounts here",
            "run with --userns host, or use ext4, xfs, btrfs, or tmpfs (Linux 6.3)",
        ) from None
    return fd


def mount_overlay(
    lowers: list[str],
    upper: str,
    work: str,
    stage: str,
    userns_fd: int,
    root: tuple[int, int],
    *,
    volatile: bool = False,
) -> int:
    """Mount an overlay like `overlay.mount_overlay`, its layers' ids mapped; return its descriptor, not attached.

    `root` is the host uid and gid of the user namespace's root. The layers stay as they are on disk. `stage` is an
    empty directory. Call it in a child process with its own mount namespace: it sets the filesystem uid and gid to
    `root`, because the overlay creates its work files as the mounting user, whose ids must be in the mapping.
    """
    linux.setfsids(*root)
    linux.mount("layers", stage, "tmpfs", 0, "mode=700")
    try:
        mapped_lowers = [_attach(lower, f"{stage}/{index}", userns_fd) for index, lower in enumerate(lowers)]
        # The kernel requires upper and work to be on the same mount.
        base = os.path.commonpath([upper, work])
        changes = _attach(base, f"{stage}/changes", userns_fd)
        upper, work = (os.path.join(changes, os.path.relpath(path, base)) for path in (upper, work))
        os.mkdir(f"{stage}/root")
        overlay.mount_overlay(mapped_lowers, upper, work, f"{stage}/root", volatile=volatile)
        return linux.open_tree(f"{stage}/root", linux.OPEN_TREE_CLONE | linux.OPEN_TREE_CLOEXEC)
    finally:
        linux.umount2(stage, linux.MNT_DETACH)


def capability_inside(value: bytes, root: int) -> bytes:
    """Convert a security.capability read through the map to its form on disk, without the namespace's `root`."""
    of_root = value[3:4] == b"\3" and value[20:24] == root.to_bytes(4, "little")
    return value[:3] + b"\2" + value[4:20] if of_root else value


def capability_outside(value: bytes, root: int) -> bytes:
    """Convert a security.capability to the value to set through the map, so that the file has it on disk.

    Source: capabilities(7), "File capability extended attribute versioning".
    """
    return value[:3] + b"\3" + value[4:20] + root.to_bytes(4, "little") if value[3:4] == b"\2" else value


def _attach(path: str, mountpoint: str, userns_fd: int) -> str:
    """Mount a directory idmapped: before Linux 6.15 an overlay refuses a layer whose mount is not attached."""
    os.mkdir(mountpoint)
    with linux.closing(clone_mount(path, userns_fd)) as fd:
        linux.move_mount(fd, "", linux.AT_FDCWD, mountpoint, linux.MOVE_MOUNT_F_EMPTY_PATH)
    return mountpoint
