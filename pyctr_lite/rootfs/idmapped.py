"""Idmapped mounts: files seen with the ids of a user namespace, while they keep their own on disk.

A file of user 5 on disk is, in a mount that has the ids of a user namespace, a file of whoever 5 is in that one,
and what that one makes is a file of 5. Source: mount_setattr(2), "ID-mapped mounts"; overlayfs.rst.
"""

from __future__ import annotations

import errno
import os

from pyctr_lite import linux
from pyctr_lite.errors import PyctrError
from pyctr_lite.linux import mountinfo
from pyctr_lite.rootfs import overlay


def clone_mount(path: str, userns_fd: int, *, recursive: bool = False, idmap_recursive: bool = False) -> int:
    """A descriptor of a copy of the mount at `path`, not attached yet, with the ids of a user namespace.

    `recursive` takes the mounts below along; those have the ids too with `idmap_recursive`.
    Fails with PyctrError where the file system cannot do it.
    """
    flags = linux.OPEN_TREE_CLONE | linux.OPEN_TREE_CLOEXEC | (linux.AT_RECURSIVE if recursive else 0)
    fd = linux.open_tree(path, flags)
    try:
        how = linux.AT_EMPTY_PATH | (linux.AT_RECURSIVE if idmap_recursive else 0)
        linux.mount_setattr(fd, "", how, set=linux.MOUNT_ATTR_IDMAP, userns_fd=userns_fd)
    except OSError as error:
        os.close(fd)
        if error.errno != errno.EINVAL:
            raise
        path = os.path.realpath(path)  # it may be that of a descriptor
        raise PyctrError(
            f"the ids of {path} cannot be mapped: {mountinfo.of_path(path).fstype} has no idmapped mounts here",
            "run it with --userns host, or have it on ext4, xfs, btrfs, or tmpfs (Linux 6.3)",
        ) from None
    return fd


def mount_overlay(
    lowers: list[str], upper: str, work: str, stage: str, userns_fd: int, root: tuple[int, int]
) -> int:
    """A descriptor of an overlay as `overlay.mount_overlay` makes it, not attached, with the layers' ids mapped.

    `root` is who root of the user namespace is outside. The layers stay as they are on disk. `stage` is an empty
    directory. For a process of its own, in a mount namespace of its own: it becomes `root` where files are made,
    for the overlay makes what it needs with the ids of whoever mounts it, and those must be in the mapping.
    """
    linux.setfsids(*root)
    linux.mount("layers", stage, "tmpfs", 0, "mode=700")
    try:
        shown = [_attach(lower, f"{stage}/{index}", userns_fd) for index, lower in enumerate(lowers)]
        # The kernel wants upper and work on one mount.
        base = os.path.commonpath([upper, work])
        changes = _attach(base, f"{stage}/changes", userns_fd)
        upper, work = (os.path.join(changes, os.path.relpath(path, base)) for path in (upper, work))
        os.mkdir(f"{stage}/root")
        overlay.mount_overlay(shown, upper, work, f"{stage}/root")
        return linux.open_tree(f"{stage}/root", linux.OPEN_TREE_CLONE | linux.OPEN_TREE_CLOEXEC)
    finally:
        linux.umount2(stage, linux.MNT_DETACH)


def capability_inside(value: bytes, root: int) -> bytes:
    """A security.capability that a file has for us, as it is on disk: without the `root` of the user namespace."""
    of_root = value[3:4] == b"\3" and value[20:24] == root.to_bytes(4, "little")
    return value[:3] + b"\2" + value[4:20] if of_root else value


def capability_outside(value: bytes, root: int) -> bytes:
    """The reverse: what to set, for a file to have a security.capability on disk.

    Source: capabilities(7), "File capability extended attribute versioning".
    """
    return value[:3] + b"\3" + value[4:20] + root.to_bytes(4, "little") if value[3:4] == b"\2" else value


def _attach(path: str, place: str, userns_fd: int) -> str:
    """Show a directory idmapped at a place: before Linux 6.15 an overlay takes no layer that is not attached."""
    os.mkdir(place)
    with linux.closing(clone_mount(path, userns_fd)) as fd:
        linux.move_mount(fd, "", linux.AT_FDCWD, place, linux.MOVE_MOUNT_F_EMPTY_PATH)
    return place
