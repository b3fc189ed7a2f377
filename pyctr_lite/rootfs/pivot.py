"""pivot_root: enter a root file system for good and leave nothing of the old root mounted. And two lesser ways."""

from __future__ import annotations

import errno
import os

from pyctr_lite import linux
from pyctr_lite.linux import explain, mountinfo


def pivot_root(new_root: str) -> None:
    """Make the mount at `new_root` the caller's root, and detach the old root with all mounts on it.

    The new root is then also the working directory; its own mounts stay, and nothing is created in it.
    The caller must be in its own mount namespace. `new_root` must be a mount point, and neither it nor its parent
    mount may be shared. Other mounts may be shared: detaching them here does not unmount them elsewhere.
    Fails with EINVAL if these conditions are not met, or EBUSY if `new_root` is on the caller's root mount; the
    root and all mounts are then unchanged. Source: pivot_root(2), NOTES.
    """
    # put_old may be the new root itself: the kernel then stacks the old root on top of it, so that no directory is
    # needed for the old root. A descriptor reaches it until it is detached.
    with linux.closing(os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as old_root:
        explain.step(f'chdir("{new_root}")', os.chdir, new_root)
        linux.pivot_root(".", ".")
        explain.step("fchdir(old root)", os.fchdir, old_root)
    # Unmounting here must not unmount on the host: a slave mount receives changes and does not propagate its own.
    linux.mount(None, ".", None, linux.MS_REC | linux.MS_SLAVE)
    linux.umount2(".", linux.MNT_DETACH)
    explain.step('chdir("/")', os.chdir, "/")


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
