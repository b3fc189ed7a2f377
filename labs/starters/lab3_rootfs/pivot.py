"""Entering a root file system for good (exercise 3.2)."""

from __future__ import annotations

import os

from labs.kit import Todo
from pyctr_lite import linux


def pivot_root(new_root: str) -> None:
    """Make the mount at `new_root` the caller's root, and detach the old root with all mounts on it.

    The new root is then also the working directory; its own mounts stay, and nothing is created in it.
    The caller must be in its own mount namespace. `new_root` must be a mount point, and neither it nor its parent
    mount may be shared. Other mounts may be shared: detaching them here does not unmount them elsewhere.
    Fails with EINVAL if these conditions are not met, or EBUSY if `new_root` is on the caller's root mount; the
    root and all mounts are then unchanged. Source: pivot_root(2), NOTES.
    """
    # The system calls are `linux.pivot_root(new_root, put_old)`, `linux.mount(source, target, fstype, flags)`
    # and `linux.umount2(target, flags)`. At the end all of this has to be true:
    # - The root *mount* of the namespace is the new one. pivot_root(2), NOTES, needs no directory for the old
    #   root, and an image that is read-only has none to give. Where is the old root after such a call, and what
    #   leads to it, once `/` is another?
    # - Of the old root nothing is mounted any more. It is in use until you leave it: what does umount2(2) say
    #   to that?
    # - The host still has all its mounts. Some of the old root's are shared with it (mount_namespaces(7)). Which
    #   propagation type keeps them from telling the host, for the old root's mounts and for no others?
    # - No way leads back: no working directory, and no descriptor, also if a step fails.
    # - A step that fails is the caller's to know. What may come before the call that may be refused, if a
    #   refusal is to leave root and mounts as they are? And where is a relative path looked up?
    raise Todo("3.2")
