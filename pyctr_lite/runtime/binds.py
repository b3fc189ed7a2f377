"""The binds of a bundle: opened, changed and attached to their mountpoints in the container's root."""

from __future__ import annotations

import os
import stat

from pyctr_lite import linux
from pyctr_lite.rootfs import options
from pyctr_lite.runtime import kernel_paths
from pyctr_lite.volumes import bind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.runtime import bundle as bundles
    from pyctr_lite.runtime import filesystem, mounts

_CLONE = linux.OPEN_TREE_CLONE | linux.OPEN_TREE_CLOEXEC | linux.AT_EMPTY_PATH


def load_modules(bundle: bundles.Bundle, *, pivot: bool) -> None:
    """Import what the rarer options need: a process that has entered a root can import nothing."""
    if not pivot or not any("mount" in names for names in bundle.namespaces()):
        from pyctr_lite.rootfs import chroot  # noqa: F401
    for mount in bundle.mounts:
        if mount.uids or mount.options.extensions:
            from pyctr_lite.runtime import rare_binds  # noqa: F401
        if mount.needs_tree and not mount.is_bind:
            from pyctr_lite.rootfs import detached  # noqa: F401
        if mount.has("tmpcopyup"):
            from pyctr_lite.volumes import copyup  # noqa: F401


def clone_shared(bundle: bundles.Bundle, made: dict[str, int]) -> dict[str, int]:
    """Clone the mounts that stay shared with the host, before all others become slaves of the host's.

    Not those that the launcher has `made`: in a user namespace no mount is shared with the host. With `host`, the
    root must be shared as well, as with runc: otherwise such a bind shares only what is mounted inside.
    """
    shared: dict[str, int] = {}
    if bundle.host and "shared" not in ((bundle.config.get("linux") or {}).get("rootfsPropagation") or ""):
        return shared
    for mount in bundle.mounts:
        wanted = mount.is_bind and mount.options.propagation in ("shared", "rshared")
        if wanted and mount.key not in made and not mount.options.flags & linux.MS_REMOUNT:
            shared[mount.key] = _clone(bundle, mount)
    return shared


def attach(root: filesystem.RootFilesystem, mount: mounts.Mount, shared: dict[str, int]) -> None:
    """Attach one bind: a tree that the launcher made, or a clone of its source."""
    bundle = root.bundle
    if mount.has("copy-symlink"):
        from pyctr_lite.runtime import rare_binds

        if rare_binds.copy_link(root, mount):
            return
    made = root.trees.pop(mount.key, -1)
    tree = shared.pop(mount.key, -1) if made < 0 else made
    if tree < 0 and (bundle.host or mount.options.idmap):
        tree = _clone(bundle, mount)
    if tree < 0:
        _attach_staged(root, mount)
        return
    with linux.closing(tree):
        directory = stat.S_ISDIR(os.fstat(tree).st_mode)
        with linux.closing(_open_mountpoint(root, mount, directory=directory)) as fd:
            kernel_paths.check(root.root_fd, fd, mount.destination, "", f"/proc/self/fd/{tree}")
            root.attach_tree(tree, fd, mount)
        if made < 0:
            change(f"/proc/self/fd/{tree}", mount, host=bundle.host, locked=False)


def change(path: str, mount: mounts.Mount, *, host: bool, locked: bool) -> None:
    """Change flags and propagation of the bind that is attached at a path.

    With `host`, its flags are those of its options, as in runc. Without, those of its source's mount stay, too.
    `locked`: it is for a user namespace, in which the kernel would not permit to drop flags.
    """
    if host:
        flags, cleared = mount.options.flags, mount.options.cleared
        bind.set_flags(path, flags, cleared, locked=locked, shown=mount.destination)
        for name in mount.options.propagations:
            linux.mount(None, path, None, options.PROPAGATION[name], shown=mount.destination)
    else:
        bind.change_mount(path, **_changes(mount.options))
    _set_below(linux.AT_FDCWD, path, mount, host=host)


def set_options_of_tree(fd: int, mount: mounts.Mount) -> None:
    """Set the propagation of an attached mount, given by its descriptor, and the attributes of all below it."""
    for name in mount.options.propagations:
        path = f"/proc/self/fd/{fd}"
        linux.mount(None, path, None, options.PROPAGATION[name], shown=mount.destination)
    _set_below(fd, "", mount, host=True)


def _set_below(fd: int, path: str, mount: mounts.Mount, *, host: bool) -> None:
    add, clear = mount.options.set_below, mount.options.clear_below
    if not host and (add, clear) == (linux.MOUNT_ATTR_RDONLY, 0):
        return  # `rro` alone: `bind.change_mount` has done it
    if add or clear:
        linux.mount_setattr(fd, path, linux.AT_RECURSIVE | linux.AT_EMPTY_PATH, set=add, clear=clear)


def _attach_staged(root: filesystem.RootFilesystem, mount: mounts.Mount) -> None:
    """Make a bind on the stage, and move it to its mountpoint."""
    with linux.closing(root.bundle.open_source(mount)) as source:
        directory, opened = stat.S_ISDIR(os.fstat(source).st_mode), f"/proc/self/fd/{source}"
        with linux.closing(_open_mountpoint(root, mount, directory=directory)) as fd:
            kernel_paths.check(root.root_fd, fd, mount.destination, "", opened)
            staged = f"{root.stage}/{'d' if directory else 'f'}"
            bind.bind_mount(opened, staged, recursive=mount.is_recursive, **_changes(mount.options))
            _set_below(linux.AT_FDCWD, staged, mount, host=False)
            linux.mount(staged, f"/proc/self/fd/{fd}", None, linux.MS_MOVE, shown=mount.destination)


def _clone(bundle: bundles.Bundle, mount: mounts.Mount) -> int:
    """Clone the source of a bind, with its own id maps if it has any."""
    with linux.closing(bundle.open_source(mount)) as source:
        recursive = linux.AT_RECURSIVE if mount.is_recursive else 0
        if mount.uids:
            from pyctr_lite.runtime import rare_binds

            return rare_binds.clone_mapped(source, mount)
        return linux.open_tree("", _CLONE | recursive, source, shown=mount.source)


def _open_mountpoint(root: filesystem.RootFilesystem, mount: mounts.Mount, *, directory: bool) -> int:
    if mount.has("dest-nofollow"):
        from pyctr_lite.runtime import rare_binds

        return rare_binds.open_without_following(root, mount)
    return root.make_mountpoint(mount.destination, directory=directory)


def _changes(parsed: options.MountOptions) -> dict[str, Any]:
    """Return the arguments of `bind.change_mount` for a bind with these options."""
    return {
        "readonly": bool(parsed.flags & linux.MS_RDONLY),
        "readonly_recursive": parsed.readonly_recursive,
        "propagation": parsed.propagation or "rprivate",
        "flags": parsed.flags & ~(linux.MS_BIND | linux.MS_REC | linux.MS_RDONLY),
    }
