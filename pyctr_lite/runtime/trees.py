"""Mounts for a container in a user namespace, made before it enters its root.

Root in a user namespace is an unprivileged user outside: it cannot traverse directories that only the host's root
may search, and it cannot map ids. So a child of the launcher, in a mount namespace of its own, makes the root and
each bind, and sends them as detached mounts; the container's first process attaches them.
"""

from __future__ import annotations

import os
import stat

from pyctr_lite import linux
from pyctr_lite.namespaces import idmap
from pyctr_lite.rootfs import idmapped, options
from pyctr_lite.runtime import bundle as bundles
from pyctr_lite.runtime import channel as channels
from pyctr_lite.runtime import filesystem
from pyctr_lite.volumes import bind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_COPY = linux.OPEN_TREE_CLONE | linux.OPEN_TREE_CLOEXEC


def send(bundle: bundles.Bundle, stage: str, pid: int, channel: channels.Channel) -> None:
    """Make the root and the binds of a bundle, and send them to the container's first process `pid`.

    `stage` is a directory with an empty directory `d` and an empty file `f`. Raises the error of the step that
    failed.
    """

    def act() -> tuple[int, ...]:
        try:
            _send(bundle, stage, pid, channel)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the container's process has ended; the error that it sent before is reported
        return ()

    channels.in_child(act, "the process that makes the container's mounts")


def _send(bundle: bundles.Bundle, stage: str, pid: int, channel: channels.Channel) -> None:
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount(None, "/", None, linux.MS_REC | linux.MS_SLAVE)  # as in a mount namespace of a user namespace
    userns_fd = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    for mount in bundle.config.get("mounts") or []:
        if filesystem.is_bind(mount):
            with (
                linux.closing(bundle.open_source(mount)) as source,
                linux.closing(_bind(source, mount, stage, userns_fd)) as tree,
            ):
                channel.send({"type": "tree", "destination": mount["destination"]}, (tree,))
    # The root comes last: making it changes the caller's filesystem ids (`idmapped.mount_overlay`).
    tree = _root(bundle, stage, pid, userns_fd)
    channel.send({"type": "tree", "destination": filesystem.ROOT}, (tree,))


def _root(bundle: bundles.Bundle, stage: str, pid: int, userns_fd: int) -> int:
    layers = bundle.overlay
    if layers is None or not bundle.mounts_overlay():
        tree = linux.open_tree(bundle.rootfs, _COPY | linux.AT_RECURSIVE)
        linux.mount_setattr(tree, "", linux.AT_EMPTY_PATH, propagation=linux.MS_PRIVATE)
        return tree
    return idmapped.mount_overlay(
        layers["lower"], layers["upper"], layers["work"], f"{stage}/d", userns_fd, idmap.outside(pid, 0, 0)
    )


def _bind(source: int, mount: dict[str, Any], stage: str, userns_fd: int) -> int:
    directory = stat.S_ISDIR(os.fstat(source).st_mode)
    parsed = options.MountOptions(mount.get("options") or [])
    recursive = filesystem.is_recursive(parsed)
    if parsed.idmap:
        below = parsed.idmap == "ridmap"
        path = f"/proc/self/fd/{source}"
        tree = idmapped.clone_mount(path, userns_fd, recursive=recursive, idmap_recursive=below)
    else:
        flags = _COPY | linux.AT_EMPTY_PATH | (linux.AT_RECURSIVE if recursive else 0)
        tree = linux.open_tree("", flags, source, shown=mount["source"])
    # A mount can be changed only while it is attached, and sent only while it is detached.
    mountpoint = f"{stage}/{'d' if directory else 'f'}"
    linux.move_mount(tree, "", linux.AT_FDCWD, mountpoint, linux.MOVE_MOUNT_F_EMPTY_PATH)
    os.close(tree)
    bind.change_mount(mountpoint, **filesystem.changes(parsed))
    try:
        return linux.open_tree(mountpoint, _COPY | linux.AT_RECURSIVE)
    finally:
        linux.umount2(mountpoint, linux.MNT_DETACH)
