"""Bind mounts: a directory or file of the host, visible at a second path (mount(2), mount_namespaces(7))."""

from __future__ import annotations

import errno
import os

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import explain, mountinfo
from pyctr_lite.rootfs import options

# Flags of statvfs(3) and of mount(2): the names are the same, but some values differ.
_STATVFS_FLAGS = (
    (0x1, linux.MS_RDONLY),
    (0x2, linux.MS_NOSUID),
    (0x4, linux.MS_NODEV),
    (0x8, linux.MS_NOEXEC),
    (0x400, linux.MS_NOATIME),
    (0x800, linux.MS_NODIRATIME),
    (0x1000, linux.MS_RELATIME),
    (0x2000, linux.MS_NOSYMFOLLOW),
)

_ACCESS_TIMES = linux.MS_NOATIME | linux.MS_RELATIME | linux.MS_STRICTATIME | linux.MS_NODIRATIME
_LOCKED = linux.MS_RDONLY | linux.MS_NODEV | linux.MS_NOEXEC | linux.MS_NOSUID | _ACCESS_TIMES


def bind_mount(
    source: str,
    target: str,
    *,
    readonly: bool = False,
    recursive: bool = True,
    propagation: str = "rprivate",
    flags: int = 0,
    readonly_recursive: bool = False,
) -> None:
    """Bind-mount `source` on `target`: a directory on a directory, or a file on a file.

    `recursive` includes the mounts below `source`. `readonly` makes the new mount read-only, while the source
    stays writable; with `readonly_recursive` the mounts below are read-only too (Docker since version 25; OCI's
    option `rro`), without it `target/submount` stays writable. `flags` adds MS_NOSUID and the like to the new
    mount. `propagation` decides whether later mounts below propagate between source and target.
    Fails with ENOENT if a path is missing, ENOTDIR if one path is a directory and the other is not.
    """
    linux.mount(source, target, None, linux.MS_BIND | (linux.MS_REC if recursive else 0))
    change_mount(
        target,
        readonly=readonly,
        propagation=propagation,
        flags=flags,
        readonly_recursive=readonly_recursive and recursive,
    )


def change_mount(
    target: str, *, readonly: bool, propagation: str, flags: int = 0, readonly_recursive: bool = False
) -> None:
    """Change flags and propagation of the mount at `target`; the arguments are those of `bind_mount`.

    The mount keeps the flags that it has. Its file system, and other mounts of it, do not change.
    `readonly_recursive` has no effect unless `readonly` is true.
    Fails with ENOENT if `target` is missing, EINVAL if it is not a mount point.
    """
    if readonly or flags:
        # A bind mount ignores all flags except MS_REC, so they need a second call. That call replaces all flags:
        # the mount's own are repeated, because losing nosuid would allow what the source's mount forbids.
        flags |= mount_flags(target) | (linux.MS_RDONLY if readonly else 0)
        linux.mount(None, target, None, linux.MS_REMOUNT | linux.MS_BIND | flags)
    if readonly and readonly_recursive:
        # MS_REC has no effect on a remount; mount_setattr(2) can change a whole tree.
        linux.mount_setattr(linux.AT_FDCWD, target, linux.AT_RECURSIVE, set=linux.MOUNT_ATTR_RDONLY)
    linux.mount(None, target, None, options.PROPAGATION[propagation])


def set_flags(path: str, flags: int, cleared: int, *, locked: bool, shown: str) -> None:
    """Set the flags of an attached bind to MS_* `flags`; `cleared` are those explicitly not wanted.

    `shown` is the path in errors and in the narration.

    Without any it keeps the flags of its source's mount. Else it loses them, but for those of access times, unless
    one of those is set. With `locked` it is for a user namespace: flags that the kernel locks there are kept.
    Fails with EPERM if a locked flag is in `cleared`, or another kind of access time is requested.
    Source: runc, libcontainer/rootfs_linux.go, mountToRootfs; mount_namespaces(7), "Restrictions".
    """
    flags &= ~(linux.MS_BIND | linux.MS_REC | linux.MS_REMOUNT)
    if not flags and not cleared:
        return
    remount = linux.MS_REMOUNT | linux.MS_BIND
    if not locked:
        try:
            linux.mount(None, path, None, remount | flags, shown=shown)
            return
        except PermissionError:
            pass  # the caller itself is in a user namespace
    found = mount_flags(path)
    if not found & (linux.MS_NOATIME | linux.MS_RELATIME):
        found |= linux.MS_STRICTATIME  # statvfs(3) does not report it
    if found & cleared & _LOCKED or (flags & _ACCESS_TIMES and flags & _ACCESS_TIMES != found & _ACCESS_TIMES):
        text = "mount: operation not permitted: a flag of the source's mount is locked in a user namespace"
        raise OSError(errno.EPERM, text, shown)
    linux.mount(None, path, None, remount | flags | found & _LOCKED, shown=shown)


def check_propagation(source: str, propagation: str) -> None:
    """Check that mounts can propagate from a source as requested. Raises InvalidArgument with Docker's message."""
    wanted = propagation.removeprefix("r")
    if wanted not in ("shared", "slave"):
        return
    mount = mountinfo.of_path(source)
    kinds = {word.partition(":")[0] for word in mount.propagation}
    if not kinds & ({"shared"} if wanted == "shared" else {"shared", "master"}):
        raise InvalidArgument(
            f"path {source} is mounted on {mount.mountpoint} but it is not a {wanted} mount"
            if wanted == "shared"
            else f"path {source} is mounted on {mount.mountpoint} but it is not a shared or slave mount",
            f"make it one: mount --bind {source} {source} && mount --make-shared {source}",
        )


def mount_flags(path: str) -> int:
    """Return the flags of the mount that contains a path, as MS_* for a remount (statvfs(3))."""
    found = os.statvfs(path).f_flag
    return sum(flag for bit, flag in _STATVFS_FLAGS if found & bit)


def prepare_source(path: str, create: bool) -> None:
    """Check that the source of a bind mount exists; `create` makes a missing directory (`-v` does, `--mount` not).

    Any kind of file is a source; a symbolic link that leads nowhere is not. New directories get mode 0755 under
    the usual umask of 022, and the last one never more than that. It is not an error if another process makes
    them at the same time.
    Raises InvalidArgument: if it is missing and `create` is false, with a message that names the path; if it
    cannot be made, with Docker's, which is "error while creating mount source path 'PATH': REASON".
    """
    if os.path.exists(path):
        return
    if not create:
        raise InvalidArgument(
            f'invalid mount config for type "bind": bind source path does not exist: {path}',
            "Make it first, or use -v, which makes a missing directory.",
        )
    try:
        with linux.umask(0o022):  # users of the container must be able to enter it
            explain.step(f'mkdir("{path}", 0755)', os.makedirs, path, 0o755, True)
    except OSError as error:
        raise InvalidArgument(
            f"error while creating mount source path '{path}': {os.strerror(error.errno or 0)}"
        ) from None
