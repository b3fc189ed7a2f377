"""Mounts for a container in a user namespace, made before it enters its root.

Root in a user namespace is an unprivileged user outside: it cannot traverse directories that only the host's root
may search, it cannot map ids, and it cannot make devices. So a child of the launcher, in a mount namespace of its
own, makes the root, each bind and the devices, and sends them as detached mounts; the container's first process
attaches them.
"""

from __future__ import annotations

import os
import stat

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.namespaces import idmap
from pyctr_lite.rootfs import devices, idmapped, target
from pyctr_lite.runtime import binds, filesystem, rare_binds
from pyctr_lite.runtime import bundle as bundles
from pyctr_lite.runtime import channel as channels

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctr_lite.runtime import mounts

    Send = Callable[[str, int], None]

_COPY = linux.OPEN_TREE_CLONE | linux.OPEN_TREE_CLOEXEC
_READ_ONLY = linux.MOUNT_ATTR_RDONLY | linux.MOUNT_ATTR_NOSUID | linux.MOUNT_ATTR_NODEV | linux.MOUNT_ATTR_NOEXEC


def send(bundle: bundles.Bundle, stage: str, pid: int, channel: channels.Channel) -> None:
    """Make the root, the binds and the devices of a bundle, and send them to the container's first process `pid`.

    `stage` is a directory with an empty directory `d` and an empty file `f`. Raises the error of the step that
    failed.
    """

    def send_tree(key: str, tree: int) -> None:
        with linux.closing(tree):
            channel.send({"type": "tree", "destination": key}, (tree,))

    def act() -> tuple[int, ...]:
        try:
            _send(bundle, stage, pid, send_tree)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the container's process has ended; the error that it sent before is reported
        return ()

    channels.in_child(act, "the process that makes the container's mounts")


def _send(bundle: bundles.Bundle, stage: str, pid: int, send: Send) -> None:
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount(None, "/", None, linux.MS_REC | linux.MS_SLAVE)  # as in a mount namespace of a user namespace
    userns_fd = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    own_network = "network" in bundle.namespaces()[0]
    root = view = -1
    if bundle.host and any(mount.is_bind and _is_inside(bundle, mount) for mount in bundle.mounts):
        # A mount in the container is the source of a later one: they are attached here, too.
        root, view = _root(bundle, stage, pid, userns_fd), _make_view(bundle)
    for mount in bundle.mounts:
        if mount.options.flags & linux.MS_REMOUNT:
            continue
        if mount.is_bind and not (mount.has("copy-symlink") and os.path.islink(bundle.path(mount.source))):
            with linux.closing(bundle.open_source(mount)) as source:
                tree = _bind(source, mount, stage, userns_fd, view, host=bundle.host)
            send(mount.key, tree)
        elif mount.fstype == "sysfs" and not own_network:
            # In another's network namespace sysfs cannot be mounted. The mounts below /sys are not included.
            tree = linux.open_tree("/sys", _COPY)
            linux.mount_setattr(tree, "", linux.AT_EMPTY_PATH, set=_READ_ONLY, propagation=linux.MS_PRIVATE)
            send(mount.key, tree)
    if bundle.host:
        _send_devices(bundle, stage, pid, send)
    # The root comes last: making it changes the caller's filesystem ids (`idmapped.mount_overlay`).
    send(filesystem.ROOT, root if root >= 0 else _root(bundle, stage, pid, userns_fd))


def _is_inside(bundle: bundles.Bundle, mount: mounts.Mount) -> bool:
    """Return whether the source of a bind is in the container's root."""
    return os.path.realpath(bundle.path(mount.source)).startswith(f"{os.path.realpath(bundle.rootfs)}/")


def _make_view(bundle: bundles.Bundle) -> int:
    """Bind the root on itself, so that mounts can be attached in it, and return a descriptor of it."""
    linux.mount(bundle.rootfs, bundle.rootfs, None, linux.MS_BIND | linux.MS_REC)
    return os.open(bundle.rootfs, linux.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def _root(bundle: bundles.Bundle, stage: str, pid: int, userns_fd: int) -> int:
    layers = bundle.overlay
    bundle.require_root()
    if layers is None or not bundle.mounts_overlay():
        tree = linux.open_tree(bundle.rootfs, _COPY | linux.AT_RECURSIVE)
        if "slave" not in ((bundle.config.get("linux") or {}).get("rootfsPropagation") or ""):
            linux.mount_setattr(tree, "", linux.AT_EMPTY_PATH, propagation=linux.MS_PRIVATE)
        return tree
    paths = layers["lower"], layers["upper"], layers["work"]
    root = idmap.outside(pid, 0, 0)
    return idmapped.mount_overlay(*paths, f"{stage}/d", userns_fd, root, volatile=layers.get("volatile") or False)


def _bind(source: int, mount: mounts.Mount, stage: str, userns_fd: int, view: int, *, host: bool) -> int:
    directory = stat.S_ISDIR(os.fstat(source).st_mode)
    recursive = mount.is_recursive
    if mount.uids:
        tree = rare_binds.clone_mapped(source, mount)
    elif mount.options.idmap:
        below = mount.options.idmap == "ridmap"
        path = f"/proc/self/fd/{source}"
        tree = idmapped.clone_mount(path, userns_fd, recursive=recursive, idmap_recursive=below)
    else:
        flags = _COPY | linux.AT_EMPTY_PATH | (linux.AT_RECURSIVE if recursive else 0)
        tree = linux.open_tree("", flags, source, shown=mount.source)
    if stat.S_ISLNK(os.fstat(source).st_mode):  # `src-nofollow`: the path of its mount would be followed
        linux.mount_setattr(tree, "", linux.AT_EMPTY_PATH, propagation=linux.MS_PRIVATE)
        return tree
    # A mount can be changed only while it is attached, and sent only while it is detached.
    mountpoint = f"{stage}/{'d' if directory else 'f'}"
    linux.move_mount(tree, "", linux.AT_FDCWD, mountpoint, linux.MOVE_MOUNT_F_EMPTY_PATH)
    os.close(tree)
    try:
        binds.change(mountpoint, mount, host=host, locked=True)
        made = linux.open_tree(mountpoint, _COPY | linux.AT_RECURSIVE)
        if view >= 0 and _show(view, mount, mountpoint):
            return made
    except BaseException:
        linux.umount2(mountpoint, linux.MNT_DETACH)
        raise
    linux.umount2(mountpoint, linux.MNT_DETACH)
    return made


def _show(view: int, mount: mounts.Mount, mountpoint: str) -> bool:
    """Move a mount to its destination in the view, and return whether there is one."""
    try:
        with linux.closing(target.open_in_root(view, mount.destination)) as place:
            linux.mount(mountpoint, f"/proc/self/fd/{place}", None, linux.MS_MOVE)
    except OSError:
        return False  # nothing is made here: the container's own process makes it with its own ids
    return True


def _send_devices(bundle: bundles.Bundle, stage: str, pid: int, send: Send) -> None:
    """Make the listed devices with their modes and owners in a tmpfs, and send each as a mount of its own."""
    listed = (bundle.config.get("linux") or {}).get("devices") or []
    if not listed:
        return
    directory = f"{stage}/d"
    linux.mount("devices", directory, "tmpfs", linux.MS_NOSUID | linux.MS_NOEXEC, "mode=700")
    try:
        for index, device in enumerate(map(devices.Device, listed)):
            if device.is_made or stat.S_ISFIFO(device.mode):
                continue
            try:
                owner = idmap.outside(pid, device.uid, device.gid)
            except InvalidArgument:
                continue  # it has no such id: the host's own device is bound
            path = f"{directory}/{index}"
            with linux.umask(0):
                os.mknod(path, device.mode, device.number)
            os.chown(path, *owner)
            send(devices.key(device.path), linux.open_tree(path, _COPY))
    finally:
        linux.umount2(directory, linux.MNT_DETACH)
