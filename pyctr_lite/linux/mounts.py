"""System calls for mounts and paths: one thin wrapper each, named as in section 2 of the manual."""

from __future__ import annotations

import errno
import os

from pyctr_lite.linux import call, ffi
from pyctr_lite.linux.constants import (
    AT_FDCWD,
    AT_SYMLINK_NOFOLLOW,
    FSMOUNT_CLOEXEC,
    FSOPEN_CLOEXEC,
    STATX_ATTR_MOUNT_ROOT,
    decode_flags,
    decode_value,
)

__all__ = [
    "fsconfig",
    "fsmount",
    "fsopen",
    "is_mount_root",
    "mount",
    "mount_setattr",
    "move_mount",
    "open_tree",
    "openat2",
    "pivot_root",
    "statfs_type",
    "umount2",
]

# Assigned after the tables of x86-64 and arm64 were unified (asm-generic/unistd.h): the same for both.
_NR_OPEN_TREE, _NR_MOVE_MOUNT, _NR_OPENAT2, _NR_MOUNT_SETATTR = 428, 429, 437, 442
_NR_FSOPEN, _NR_FSCONFIG, _NR_FSMOUNT = 430, 431, 432
_NR_PIVOT_ROOT = 41 if os.uname().machine == "aarch64" else 155


def mount(
    source: str | None,
    target: str,
    fstype: str | None = None,
    flags: int = 0,
    data: str | None = None,
    *,
    shown: str | None = None,
) -> None:
    """Attach a file system, or change a mount (mount(2)). `flags` are MS_*, `data` the file system's options.

    `shown` is the path in errors and in the narration if `target` is a /proc/self/fd path.
    Fails with EINVAL for options that the file system does not know, ENODEV for an unknown `fstype`.
    """
    call.make(
        lambda: (
            f"mount({call.quoted(call.of_descriptor(source))}, {call.quoted(shown or target)}, "
            f"{call.quoted(fstype)}, {decode_flags(('MS_',), flags)}, {call.quoted(data)})"
        ),
        shown or target,
        call.libc.mount,
        call.encoded(source),
        call.encoded(target),
        call.encoded(fstype),
        ffi.c_ulong(flags),
        call.encoded(data),
    )


def umount2(target: str, flags: int = 0) -> None:
    """Detach a mount (umount2(2)).

    Fails with EBUSY while it is in use, unless `flags` has MNT_DETACH; EINVAL if `target` is not a mount point.
    """
    call.make(
        lambda: f"umount2({call.quoted(target)}, {decode_flags(('MNT_', 'UMOUNT_'), flags)})",
        target,
        call.libc.umount2,
        call.encoded(target),
        flags,
    )


def pivot_root(new_root: str, put_old: str) -> None:
    """Swap the root mount (pivot_root(2)).

    Fails with EINVAL if `new_root` is not a mount point, or a mount involved is shared.
    """
    call.make(
        lambda: f"pivot_root({call.quoted(new_root)}, {call.quoted(put_old)})",
        new_root,
        call.syscall,
        _NR_PIVOT_ROOT,
        call.encoded(new_root),
        call.encoded(put_old),
    )


def open_tree(path: str, flags: int, dirfd: int = AT_FDCWD, *, shown: str = "") -> int:
    """Open a mount, or with OPEN_TREE_CLONE a detached copy of it (open_tree(2))."""
    return call.make(
        lambda: f"open_tree({call.quoted(shown or path)}, {decode_flags(('OPEN_TREE_', 'AT_'), flags)})",
        path,
        call.syscall,
        _NR_OPEN_TREE,
        dirfd,
        call.encoded(path),
        flags,
    )


def move_mount(from_fd: int, from_path: str, to_fd: int, to_path: str, flags: int, *, shown: str = "") -> None:
    """Move a mount, or attach a detached one (move_mount(2))."""
    call.make(
        lambda: (
            f"move_mount({from_fd}, {call.quoted(from_path)}, {to_fd}, {call.quoted(shown or to_path)}, "
            f"{decode_flags(('MOVE_MOUNT_',), flags)})"
        ),
        shown or to_path or from_path,
        call.syscall,
        _NR_MOVE_MOUNT,
        from_fd,
        call.encoded(from_path),
        to_fd,
        call.encoded(to_path),
        flags,
    )


def fsopen(fstype: str) -> int:
    """Begin a new file system, and return the descriptor to configure it with (fsopen(2)).

    Fails with ENODEV for an unknown type, EPERM without CAP_SYS_ADMIN over the caller's mount namespace.
    """
    return call.make(
        lambda: f"fsopen({call.quoted(fstype)}, FSOPEN_CLOEXEC)",
        fstype,
        call.syscall,
        _NR_FSOPEN,
        call.encoded(fstype),
        FSOPEN_CLOEXEC,
    )


def fsconfig(fd: int, command: int, key: str | None = None, value: str | None = None) -> None:
    """Set an option of a new file system, or create it: `command` is FSCONFIG_* (fsconfig(2)).

    Fails with EINVAL for an option that it does not know; the reason can be read from `fd`.
    """
    call.make(
        lambda: (
            f"fsconfig({fd}, {decode_value('FSCONFIG_', command)}, {call.quoted(key)}, {call.quoted(value)}, 0)"
        ),
        key,
        call.syscall,
        _NR_FSCONFIG,
        fd,
        command,
        call.encoded(key),
        call.encoded(value),
        0,
    )


def fsmount(fd: int, attributes: int) -> int:
    """Return a descriptor of a mount of a new file system, not attached yet; MOUNT_ATTR_* (fsmount(2))."""
    return call.make(
        lambda: f"fsmount({fd}, FSMOUNT_CLOEXEC, {decode_flags((_ATTRIBUTES,), attributes)})",
        None,
        call.syscall,
        _NR_FSMOUNT,
        fd,
        FSMOUNT_CLOEXEC,
        attributes,
    )


_ATTRIBUTES = "MOUNT_ATTR_"


class _MountAttr(ffi.Structure):
    _fields_ = [(name, ffi.c_uint64) for name in ("attr_set", "attr_clr", "propagation", "userns_fd")]


def mount_setattr(
    dirfd: int,
    path: str,
    flags: int,
    *,
    set: int = 0,
    clear: int = 0,
    propagation: int = 0,
    userns_fd: int = 0,
) -> None:
    """Change a mount's attributes (MOUNT_ATTR_*), with AT_RECURSIVE those of its whole tree (mount_setattr(2))."""
    attr = _MountAttr(set, clear, propagation, userns_fd)
    call.make(
        lambda: (
            f"mount_setattr({decode_value('AT_FDCWD', dirfd)}, {call.quoted(path)}, "
            f"{decode_flags(('AT_',), flags)}, set={decode_flags(('MOUNT_ATTR_',), set)}, "
            f"{f'clear={decode_flags((_ATTRIBUTES,), clear)}, ' * bool(clear)}"
            f"propagation={decode_flags(('MS_',), propagation)}{f', userns_fd={userns_fd}' * bool(userns_fd)})"
        ),
        path,
        call.syscall,
        _NR_MOUNT_SETATTR,
        dirfd,
        call.encoded(path),
        flags,
        ffi.byref(attr),
        ffi.sizeof(attr),
    )


class _OpenHow(ffi.Structure):
    _fields_ = [(name, ffi.c_uint64) for name in ("flags", "mode", "resolve")]


def openat2(dirfd: int, path: str, flags: int, mode: int = 0, resolve: int = 0) -> int:
    """Open a path with limits on its resolution (openat2(2)): RESOLVE_IN_ROOT treats `dirfd` as `/`.

    Fails with EXDEV or ELOOP if the path would escape the limits in `resolve`; with EAGAIN if processes rename
    files all the time while the path is followed, or with O_NONBLOCK if one has a lease of the file (fcntl(2)).
    """
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    for attempt in range(_MAX_ATTEMPTS):
        try:
            return call.look(
                "openat2",
                path,
                call.syscall,
                _NR_OPENAT2,
                dirfd,
                call.encoded(path),
                ffi.byref(how),
                ffi.sizeof(how),
            )
        except OSError as error:
            # EAGAIN: a concurrent rename anywhere on the system, so the kernel could not verify the path.
            if error.errno not in (errno.EAGAIN, errno.EINTR) or attempt == _MAX_ATTEMPTS - 1:
                raise
    raise AssertionError


_MAX_ATTEMPTS = 200
"""Attempts to open a path while others rename files. A container can rename, or hold a lease, for ever."""


def is_mount_root(dirfd: int, name: str | bytes) -> bool:
    """Return whether a name in a directory is a mount point (statx(2), STATX_ATTR_MOUNT_ROOT).

    Applies to the mount namespace of the directory. Raises FileNotFoundError if the name does not exist.
    """
    found = (ffi.c_uint64 * 32)()  # struct statx: 256 bytes, the attributes are the second eight
    path = os.fsencode(name)
    call.look("statx", None, call.libc.statx, dirfd, path, AT_SYMLINK_NOFOLLOW, 0, ffi.byref(found))
    return bool(found[1] & STATX_ATTR_MOUNT_ROOT)


def statfs_type(path: str) -> int:
    """Return the magic number of a path's file system, as in include/uapi/linux/magic.h (statfs(2))."""
    found = (ffi.c_long * 15)()  # struct statfs: 120 bytes, the type comes first
    call.look("statfs", path, call.libc.statfs, call.encoded(path), ffi.byref(found))
    return found[0]
