"""Mounts for a container in a user namespace, made before it enters its root.

Root in there is a plain user outside: it may not walk through directories that are the host's root's alone, and it
may not map ids. So a child of the launcher, in a mount namespace of its own, makes the root and each bind, and
sends copies of them that are attached nowhere; the container's first process puts them in their places.
"""

from __future__ import annotations

import os
import stat

from pyctr_lite import linux
from pyctr_lite.errors import PyctrError
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

    `stage` is a directory with an empty directory `d` and an empty file `f`. Fails with what went wrong.
    """
    ours, theirs = channels.pair()
    child = os.fork()
    if child == 0:
        try:
            _send(bundle, stage, pid, channel)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the container's process has ended already; what it sent before says why
        except BaseException as error:
            theirs.send(channels.describe_error(error))
        finally:
            os._exit(0)
    theirs.close()
    received = ours.receive()
    ours.close()
    _, status = os.waitpid(child, 0)
    if received is not None:
        channels.raise_error(received[0])
    if status:
        raise PyctrError("the process that makes the container's mounts was killed", "out of memory?")


def _send(bundle: bundles.Bundle, stage: str, pid: int, channel: channels.Channel) -> None:
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount(None, "/", None, linux.MS_REC | linux.MS_SLAVE)  # as a user namespace's own are
    userns_fd = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    for mount in bundle.config.get("mounts") or []:
        if filesystem.is_bind(mount):
            source = bundle.open_source(mount)
            tree = _bind(source, mount, stage, userns_fd)
            channel.send({"type": "tree", "destination": mount["destination"]}, (tree,))
            os.close(tree)
            os.close(source)
    # The root comes last: from then on the caller is somebody else.
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
    # To be changed a mount must be attached; to be sent, it must not.
    place = f"{stage}/{'d' if directory else 'f'}"
    linux.move_mount(tree, "", linux.AT_FDCWD, place, linux.MOVE_MOUNT_F_EMPTY_PATH)
    os.close(tree)
    bind.change_mount(place, **filesystem.changes(parsed))
    try:
        return linux.open_tree(place, _COPY | linux.AT_RECURSIVE)
    finally:
        linux.umount2(place, linux.MNT_DETACH)
