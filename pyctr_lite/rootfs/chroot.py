"""Entering a root file system without pivot_root(2): what is below or beside it stays mounted."""

from __future__ import annotations

import errno
import os

from pyctr_lite import linux
from pyctr_lite.linux import explain, mountinfo


def move_root(new_root: str, *, covers_root: bool = False) -> None:
    """Enter the mount at `new_root` without pivot_root(2), which fails if the old root is a ramfs.

    `covers_root`: it is already mounted over `/`.

    The old root stays mounted below the new one. So each whole procfs and sysfs outside the new root is unmounted,
    or hidden if it cannot be: while one is visible in the mount namespace, the kernel lets root of a user
    namespace mount another without this container's masks. The caller must be in its own mount namespace.
    Source: mount(2), MS_MOVE; mount_too_revealing() in the kernel's fs/namespace.c.
    """
    explain.step(f'chdir("{new_root}")', os.chdir, new_root)
    inside = os.path.realpath(new_root)
    for mount in mountinfo.mounts():
        if mount.root != "/" or mount.fstype not in ("proc", "sysfs") or mount.mountpoint.startswith(f"{inside}/"):
            continue
        try:
            linux.mount(None, mount.mountpoint, None, linux.MS_REC | linux.MS_SLAVE)
        except FileNotFoundError:
            continue  # it was below a mount that is gone
        except OSError as error:
            if error.errno != errno.EINVAL:  # EINVAL: covered by another mount
                raise
        try:
            linux.umount2(mount.mountpoint, linux.MNT_DETACH)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EPERM):
                raise
            linux.mount("tmpfs", mount.mountpoint, "tmpfs", 0, "size=0")
    if not covers_root:
        linux.mount(".", "/", None, linux.MS_MOVE)
    change_root()


def change_root() -> None:
    """Make the working directory the caller's root, in whatever mount namespace it is (chroot(2))."""
    explain.step('chroot(".")', os.chroot, ".")
    explain.step('chdir("/")', os.chdir, "/")
