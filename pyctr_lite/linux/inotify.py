"""File change notification (inotify(7)): two calls and their constants (include/uapi/linux/inotify.h)."""

from __future__ import annotations

import os

from pyctr_lite.linux import call, ffi

IN_MODIFY = 0x2
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_DELETE_SELF = 0x400
IN_MOVE_SELF = 0x800
IN_NONBLOCK = 0o4000
IN_CLOEXEC = 0o2000000


def inotify_init1(flags: int) -> int:
    """Open a descriptor that reports changes (inotify_init1(2)); `flags` are IN_CLOEXEC, IN_NONBLOCK.

    Fails with EMFILE beyond fs.inotify.max_user_instances.
    """
    return call.look("inotify_init1", None, call.libc.inotify_init1, flags)


def inotify_add_watch(fd: int, path: str, mask: int) -> int:
    """Watch a file or directory for the changes in `mask` (IN_*), and return the watch's number.

    Fails with ENOENT if the path does not exist, ENOSPC beyond fs.inotify.max_user_watches. Source:
    inotify_add_watch(2).
    """
    function = call.libc.inotify_add_watch
    return call.look("inotify_add_watch", path, function, fd, os.fsencode(path), ffi.c_uint32(mask))
