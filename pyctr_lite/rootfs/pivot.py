"""pivot_root: enter a root file system for good and leave nothing of the old root mounted."""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.linux import explain


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
