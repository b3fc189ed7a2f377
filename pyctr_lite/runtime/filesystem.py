"""From a bundle's `root` and `mounts` to a root file system that is entered."""

from __future__ import annotations

import errno
import os
import stat

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.rootfs import devices, masks, options, overlay, pivot, target
from pyctr_lite.runtime import bundle as bundles
from pyctr_lite.runtime import cgroupfs, console, kernelplaces, process
from pyctr_lite.volumes import bind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


ROOT = "/"
"""The key of the root among the mounts that the launcher made."""


class RootFilesystem:
    """The root of one container, built in the container's own mount namespace.

    `stage` is a directory on the host with an empty directory `d` and an empty file `f`: a bind is made and
    changed there, by plain paths, and then moved to its place inside, which is held by a descriptor. So no
    link inside, swapped at the right moment, can send a mount elsewhere (CVE-2021-30465).
    `trees` are mounts made before by the launcher, for a container in a user namespace (`trees`). `proc` is a
    procfs of the pid namespace that the container joins, -1 if the caller is in the container's own.
    """

    def __init__(self, bundle: bundles.Bundle, stage: str, trees: dict[str, int], proc: int = -1) -> None:
        self.bundle, self.stage, self.trees, self.proc = bundle, stage, trees, proc
        self._proc_attached = False
        self.config = bundle.config
        self.linux: dict[str, Any] = bundle.config.get("linux") or {}
        self.root_fd = -1
        self.readonly: list[tuple[int, int, str]] = []
        """Mounts to be made read-only at the end: the mount's descriptor, its flags, its destination."""

    def build(self) -> None:
        """Mount all that the bundle asks for. The caller has a mount namespace of its own."""
        shared = self._open_shared_sources()
        # Until the root is entered nothing is shared: on a host whose `/` is shared, as systemd makes it, every
        # mount made here would appear there. A slave still hears of the host's mounts, and of their end.
        propagation = self.linux.get("rootfsPropagation") or "rslave"
        kind = linux.MS_PRIVATE if "private" in propagation else linux.MS_SLAVE
        linux.mount(None, "/", None, kind | linux.MS_REC)
        self._mount_root()
        needs_devices, has_proc = True, False
        for mount in self.config.get("mounts") or []:
            self._mount(mount, shared)
            place = os.path.normpath(mount["destination"])
            has_proc = has_proc or place == "/proc"
            if place == "/dev":
                needs_devices = not is_bind(mount)
        for fd, flags, destination in self.readonly:
            remount = flags | linux.MS_REMOUNT | linux.MS_BIND | linux.MS_RDONLY
            linux.mount(None, f"/proc/self/fd/{fd}", None, remount, shown=destination)
            os.close(fd)
        if needs_devices:
            devices.make_devices(self.root_fd, self.linux.get("devices") or [], kernelplaces.check_device)
        if has_proc:
            kernelplaces.check_proc(self.root_fd)

    def open_console(self) -> tuple[int, int]:
        """A terminal in the container's devpts, shown as /dev/console: its master and its slave."""
        master, slave = console.open_console(self.root_fd)
        console.bind_console(self.root_fd, slave)
        return master, slave

    def make_directory(self, path: str) -> None:
        """Make the working directory where the image lacks it, as Docker does."""
        try:
            os.close(target.make_directory(self.root_fd, path))
        except OSError as error:
            raise process.no_working_directory(path, error) from None

    def enter(self) -> None:
        """Make it the caller's root, and close what must not be read or written in it. `root_fd` stays open."""
        pivot.pivot_root(f"/proc/self/fd/{self.root_fd}" if ROOT in self.trees else self.bundle.rootfs)
        propagation = self.linux.get("rootfsPropagation") or "private"
        if "private" not in propagation:
            linux.mount(None, "/", None, options.PROPAGATION[propagation] & ~linux.MS_REC)
        for path in self.linux.get("readonlyPaths") or []:
            masks.readonly_path(self.root_fd, path)
        for path in self.linux.get("maskedPaths") or []:
            masks.mask_path(self.root_fd, path)
        if (self.config.get("root") or {}).get("readonly"):
            masks.readonly_root()

    def _mount_root(self) -> None:
        rootfs, layers = self.bundle.rootfs, self.bundle.overlay
        if ROOT in self.trees:
            # The way to the directory is closed to root of a user namespace: it is put over `/`.
            self.root_fd = self.trees[ROOT]
            linux.move_mount(self.root_fd, "", linux.AT_FDCWD, "/", linux.MOVE_MOUNT_F_EMPTY_PATH)
            return
        if layers is not None and self.bundle.mounts_overlay():
            overlay.mount_overlay(layers["lower"], layers["upper"], layers["work"], rootfs)
        else:
            linux.mount(rootfs, rootfs, None, linux.MS_BIND | linux.MS_REC)
            linux.mount(None, rootfs, None, linux.MS_PRIVATE)
        self.root_fd = os.open(rootfs, linux.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def _mount(self, mount: dict[str, Any], shared: dict[str, int]) -> None:
        destination, fstype = mount["destination"], mount.get("type") or "none"
        parsed = options.MountOptions(mount.get("options") or [])
        if parsed.flags & linux.MS_BIND or fstype == "bind":
            if parsed.data:
                raise InvalidArgument(f"mount {destination}: a bind has no option {parsed.data}")
            self._bind(mount, parsed, shared)
            return
        if fstype == "cgroup":
            own = any("cgroup" in names for names in self.bundle.namespaces())
            cgroupfs.mount_cgroups(self.root_fd, destination, parsed.flags, own_namespace=own)
            return
        if fstype in ("proc", "sysfs"):
            self._refuse_link(destination)
        later = fstype == "tmpfs" and parsed.flags & linux.MS_RDONLY  # first the mount points in it are made
        parsed.flags &= ~later
        fd = self._make_place(destination, directory=True)
        try:
            kernelplaces.check(self.root_fd, fd, destination, fstype)
            self._attach(mount.get("source") or fstype, fd, fstype, parsed, destination)
        finally:
            os.close(fd)
        if later:
            mounted = target.open_in_root(self.root_fd, destination)
            self.readonly.append((mounted, parsed.flags & ~linux.MS_REC, destination))

    def _make_place(self, destination: str, *, directory: bool) -> int:
        """Make a mount point where the image lacks it. In /proc and /sys nothing can be made."""
        try:
            return target.make_mountpoint(self.root_fd, destination, directory=directory)
        except OSError:
            kernelplaces.check_text(destination)
            raise

    def _attach(self, source: str, fd: int, fstype: str, parsed: options.MountOptions, destination: str) -> None:
        place = f"/proc/self/fd/{fd}"
        flags = parsed.flags & ~linux.MS_REC
        if fstype == "proc" and self.proc >= 0:
            self._attach_proc(fd, flags, destination)
        else:
            linux.mount(source, place, fstype, flags, parsed.data or None, shown=destination)
        if parsed.propagation:
            # The old descriptor is of what lies below the new mount.
            mounted = target.open_in_root(self.root_fd, destination)
            try:
                propagation = options.PROPAGATION[parsed.propagation]
                linux.mount(None, f"/proc/self/fd/{mounted}", None, propagation, shown=destination)
            finally:
                os.close(mounted)

    def _attach_proc(self, fd: int, flags: int, destination: str) -> None:
        tree = self.proc
        if self._proc_attached:
            tree = linux.open_tree("", linux.OPEN_TREE_CLONE | linux.OPEN_TREE_CLOEXEC | linux.AT_EMPTY_PATH, tree)
        moved = linux.MOVE_MOUNT_F_EMPTY_PATH | linux.MOVE_MOUNT_T_EMPTY_PATH
        linux.move_mount(tree, "", fd, "", moved, shown=destination)
        change = linux.MS_REMOUNT | linux.MS_BIND | flags
        linux.mount(None, f"/proc/self/fd/{tree}", None, change, shown=destination)
        if tree != self.proc:
            os.close(tree)
        self._proc_attached = True

    def _bind(self, mount: dict[str, Any], parsed: options.MountOptions, shared: dict[str, int]) -> None:
        destination = mount["destination"]
        made, tree = self.trees.pop(destination, -1), shared.pop(destination, -1)
        source = max(made, tree)  # one of them, or neither
        if source < 0:
            source = self.bundle.open_source(mount)
        directory = stat.S_ISDIR(os.fstat(source).st_mode)
        fd = self._make_place(destination, directory=directory)
        try:
            kernelplaces.check(self.root_fd, fd, destination, "", f"/proc/self/fd/{source}")
            if made >= 0:
                flags = linux.MOVE_MOUNT_F_EMPTY_PATH | linux.MOVE_MOUNT_T_EMPTY_PATH
                linux.move_mount(made, "", fd, "", flags, shown=destination)
                return
            place = f"{self.stage}/{'d' if directory else 'f'}"
            if tree >= 0:
                linux.move_mount(tree, "", linux.AT_FDCWD, place, linux.MOVE_MOUNT_F_EMPTY_PATH)
                bind.change_mount(place, **changes(parsed))
            else:
                opened = f"/proc/self/fd/{source}"
                bind.bind_mount(opened, place, recursive=is_recursive(parsed), **changes(parsed))
            linux.mount(place, f"/proc/self/fd/{fd}", None, linux.MS_MOVE, shown=destination)
        finally:
            os.close(fd)
            os.close(source)

    def _open_shared_sources(self) -> dict[str, int]:
        """Copies of the mounts that stay shared with the host, taken before the rest becomes a slave of it."""
        trees = {}
        for mount in self.config.get("mounts") or []:
            parsed = options.MountOptions(mount.get("options") or [])
            if parsed.propagation in ("shared", "rshared") and is_bind(mount):
                flags = linux.OPEN_TREE_CLONE | linux.OPEN_TREE_CLOEXEC | linux.AT_EMPTY_PATH
                recursive = linux.AT_RECURSIVE if is_recursive(parsed) else 0
                source = self.bundle.open_source(mount)
                trees[mount["destination"]] = linux.open_tree("", flags | recursive, source, shown=mount["source"])
                os.close(source)
        return trees

    def _refuse_link(self, destination: str) -> None:
        parent, name = os.path.split(os.path.normpath(destination))
        parent_fd = target.make_directory(self.root_fd, parent)
        try:
            if stat.S_ISLNK(os.stat(name, dir_fd=parent_fd, follow_symlinks=False).st_mode):
                raise OSError(errno.ELOOP, "the image has a symbolic link there", destination)
        except FileNotFoundError:
            pass
        finally:
            os.close(parent_fd)


def is_bind(mount: dict[str, Any]) -> bool:
    """Whether it shows what is there already, in place of a file system of its own."""
    return mount.get("type") == "bind" or any(option in ("bind", "rbind") for option in mount.get("options") or [])


def is_recursive(parsed: options.MountOptions) -> bool:
    """`bind` is of one mount, `rbind` and the type alone are of those below too."""
    return bool(parsed.flags & linux.MS_REC) or not parsed.flags & linux.MS_BIND


def changes(parsed: options.MountOptions) -> dict[str, Any]:
    """What `bind.change_mount` makes of a bind with these options."""
    return {
        "readonly": bool(parsed.flags & linux.MS_RDONLY),
        "readonly_recursive": parsed.readonly_recursive,
        "propagation": parsed.propagation or "rprivate",
        "flags": parsed.flags & ~(linux.MS_BIND | linux.MS_REC | linux.MS_RDONLY),
    }
