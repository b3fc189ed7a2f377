"""Entering a root file system for good: pivot_root, and nothing of the old root left behind."""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.linux import explain


def pivot_root(new_root: str) -> None:
    """Make the mount at `new_root` the caller's root, and detach the old root with all that is mounted on it.

    The caller must be in a mount namespace of its own, whose mounts are not shared. `new_root` must be a
    mount point. put_old may be the new root itself: the old root is then stacked on top of it, a descriptor
    reaches it until it is detached, and no directory is needed for it. Fails with EINVAL where `new_root` is no
    mount point or a mount is shared. Source: pivot_root(2), NOTES.
    """
    old_root = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        explain.step(f'chdir("{new_root}")', os.chdir, new_root)
        linux.pivot_root(".", ".")
        explain.step("fchdir(old root)", os.fchdir, old_root)
    finally:
        os.close(old_root)
    # What is unmounted here must not be unmounted on the host: a slave hears of changes and tells of none.
    linux.mount(None, ".", None, linux.MS_REC | linux.MS_SLAVE)
    linux.umount2(".", linux.MNT_DETACH)
    explain.step('chdir("/")', os.chdir, "/")
