"""Entering a root file system for good (exercise 3.2)."""

from __future__ import annotations

import os

from labs.kit import Todo
from pyctr_lite import linux


def pivot_root(new_root: str) -> None:
    """Make the mount at `new_root` the caller's root, and detach the old root with all mounts on it.

    The caller must be in its own mount namespace. `new_root` must be a mount point, and neither it nor its parent
    mount may be shared. Other mounts may be shared: detaching them here does not unmount them elsewhere.
    Fails with EINVAL if these conditions are not met, or EBUSY if `new_root` is on the caller's root mount; the
    root is then unchanged. Source: pivot_root(2), NOTES.
    """
    # The system calls are `linux.pivot_root(new_root, put_old)`, `linux.mount(source, target, fstype, flags)`
    # and `linux.umount2(target, flags)`. An error of theirs is the caller's to see: catch none.
    # 1. Keep a way back to the old root: `os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)`.
    # 2. Go to the new root (`os.chdir`), then swap the two. pivot_root(2), NOTES, tells how to do it without a
    #    directory for the old root: both arguments may be ".".
    # 3. Go back to the old root (`os.fchdir`) and close the descriptor, whatever happens.
    # 4. Some of the old root's mounts may be shared with the host: what is unmounted here would be unmounted
    #    there as well. What keeps all mounts at and below "." from telling the host? (mount(2): MS_REC, and
    #    which of MS_SHARED, MS_SLAVE, MS_PRIVATE?)
    # 5. Unmount "." with all that is mounted on it. It is in use: you stand in it. umount2(2) has a flag.
    # 6. You still stand in what was detached. Where do you want to be?
    raise Todo("3.2")
