"""Bind mounts: a directory or file of the host, seen at a second place (mount(2), mount_namespaces(7))."""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import explain, mountinfo
from pyctr_lite.rootfs import options

# Flags of statvfs(3) with those of mount(2): the words are the same, some numbers are not.
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
    """Show `source` at `target`: a directory on a directory, or a file on a file.

    `recursive` takes the mounts below `source` along; `readonly` makes the new mount read-only, while the
    source stays writable; `flags` adds MS_NOSUID and the like to the new mount. With `readonly_recursive`
    the mounts below are made read-only too (Docker from version 25 on; OCI's option `rro`); without it only
    the top one is, and `target/submount` can be written to. `propagation` says whether later mounts below
    travel between source and target.

    Fails with ENOENT for a missing path, ENOTDIR where one is a directory and the other is none.
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
    """Make a mount what `bind_mount` says of the new one."""
    if readonly or flags:
        # The first call ignores all flags but MS_REC: they need a second one. That one sets them all anew,
        # so what the mount had is given again: a lost nosuid would let in what the source's mount shuts out.
        flags |= mount_flags(target) | (linux.MS_RDONLY if readonly else 0)
        linux.mount(None, target, None, linux.MS_REMOUNT | linux.MS_BIND | flags)
    if readonly and readonly_recursive:
        # MS_REC has no effect on a remount; mount_setattr(2) can change a whole tree.
        linux.mount_setattr(linux.AT_FDCWD, target, linux.AT_RECURSIVE, set=linux.MOUNT_ATTR_RDONLY)
    linux.mount(None, target, None, options.PROPAGATION[propagation])


def check_propagation(source: str, propagation: str) -> None:
    """Make sure that mounts can travel from a source as asked. Fails with InvalidArgument, as Docker does."""
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
    """The flags of the mount that a path is on, as MS_* for a remount (statvfs(3))."""
    given = os.statvfs(path).f_flag
    return sum(flag for bit, flag in _STATVFS_FLAGS if given & bit)


def prepare_source(path: str, create: bool) -> None:
    """Make sure that the source of a bind exists: `-v` makes a missing directory, `--mount` does not.

    Fails with InvalidArgument where it is missing and not to be made, or cannot be.
    """
    if os.path.exists(path):
        return
    if not create:
        raise InvalidArgument(
            f'invalid mount config for type "bind": bind source path does not exist: {path}',
            "Make it first, or use -v, which makes a missing directory.",
        )
    try:
        with linux.umask(0o022):  # whatever the caller's is: users of the container go through it
            explain.step(f'mkdir("{path}", 0755)', os.makedirs, path, 0o755, True)
    except OSError as error:
        raise InvalidArgument(
            f"error while creating mount source path '{path}': {os.strerror(error.errno or 0)}"
        ) from None
