"""Entering a root file system for good: pivot_root, and nothing of the old root left behind."""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.linux import explain


def pivot_root(new_root: str) -> None:
    """Make the mount at `new_root` the caller's root, and detach the old root with all that is mounted on it.

    The caller must be in a mount namespace of its own. `new_root` must be a mount point, and neither it nor the
    mount it lies on may be shared; others may be, and what is mounted on them stays mounted elsewhere.
    Fails with EINVAL otherwise, or EBUSY for a directory of the root's own mount; the root is then as it was.
    Source: pivot_root(2), NOTES.
    """
    # put_old may be the new root itself: the old root is then stacked on top of it, a descriptor reaches it until
    # it is detached, and no directory is needed for it.
    with linux.closing(os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as old_root:
        explain.step(f'chdir("{new_root}")', os.chdir, new_root)
        linux.pivot_root(".", ".")
        explain.step("fchdir(old root)", os.fchdir, old_root)
    # What is unmounted here must not be unmounted on the host: a slave hears of changes and tells of none.
    linux.mount(None, ".", None, linux.MS_REC | linux.MS_SLAVE)
    linux.umount2(".", linux.MNT_DETACH)
    explain.step('chdir("/")', os.chdir, "/")
