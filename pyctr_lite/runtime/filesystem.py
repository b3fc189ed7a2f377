"""The container's root file system: a bundle's `root` and `mounts`, mounted and entered."""

from __future__ import annotations

import errno
import os
import stat

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.rootfs import devices, masks, options, overlay, pivot, target
from pyctr_lite.runtime import cgroupfs, console, kernel_paths, process
from pyctr_lite.volumes import bind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.runtime import bundle as bundles


ROOT = "/"
"""The key of the root in `RootFilesystem.trees`."""


class RootFilesystem:
    """The root of one container, built in the container's own mount namespace.

    `stage` is a directory on the host with an empty directory `d` and an empty file `f`: a bind is made and
    changed on one of them, by its path, and then moved to its mountpoint inside, which is held by a descriptor. So
    a link inside that is swapped at the right moment cannot redirect a mount (CVE-2021-30465). `trees` are the
    mounts that the launcher made for a container in a user namespace (`runtime.trees`), by destination. `proc` is
    a procfs of the pid namespace that the container joins, -1 if the caller is in the container's own.
    """

    def __init__(self, bundle: bundles.Bundle, stage: str, trees: dict[str, int], proc: int = -1) -> None:
        self.bundle, self.stage, self.trees, self.proc = bundle, stage, trees, proc
        self._proc_attached = False
        self.config = bundle.config
        self.linux: dict[str, Any] = bundle.config.get("linux") or {}
        self.root_fd = -1
        self.readonly: list[tuple[int, int, str]] = []
        """Mounts to be made read-only last: descriptor, flags, destination."""

    def build(self) -> None:
        """Mount the root, the bundle's mounts and its devices. The caller has a mount namespace of its own."""
        shared = self._open_shared_sources()
        # Until the root is entered, no mount is shared: systemd makes the host's `/` shared, so every mount made
        # here would appear on the host. A slave still receives the host's mounts and unmounts.
        propagation = self.linux.get("rootfsPropagation") or "rslave"
        kind = linux.MS_PRIVATE if "private" in propagation else linux.MS_SLAVE
        linux.mount(None, "/", None, kind | linux.MS_REC)
        self._mount_root()
        needs_devices, has_proc = True, False
        for mount in self.config.get("mounts") or []:
            self._mount(mount, shared)
            destination = os.path.normpath(mount["destination"])
            has_proc = has_proc or destination == "/proc"
            if destination == "/dev":
                needs_devices = not is_bind(mount)
        for fd, flags, destination in self.readonly:
            remount = flags | linux.MS_REMOUNT | linux.MS_BIND | linux.MS_RDONLY
            linux.mount(None, f"/proc/self/fd/{fd}", None, remount, shown=destination)
            os.close(fd)
        if needs_devices:
            devices.make_devices(self.root_fd, self.linux.get("devices") or [], kernel_paths.check_device)
        if has_proc:
            kernel_paths.check_proc(self.root_fd)

    def open_console(self) -> tuple[int, int]:
        """Open a terminal in the container's devpts, bind it to /dev/console, and return its master and slave."""
        master, slave = console.open_console(self.root_fd)
        console.bind_console(self.root_fd, slave)
        return master, slave

    def make_directory(self, path: str) -> None:
        """Create the working directory if it is missing in the image, as Docker does. Raises InvalidArgument."""
        try:
            os.close(target.make_directory(self.root_fd, path))
        except OSError as error:
            raise process.no_working_directory(path, error) from None

    def enter(self) -> None:
        """Make it the caller's root, and mask or remount its protected paths. `root_fd` stays open."""
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
            # Root in a user namespace cannot traverse the host path, so the tree is mounted over `/` first.
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
        # A tmpfs becomes read-only last: mountpoints are created in it first.
        readonly = fstype == "tmpfs" and parsed.flags & linux.MS_RDONLY
        parsed.flags &= ~readonly
        with linux.closing(self._make_mountpoint(destination, directory=True)) as fd:
            kernel_paths.check(self.root_fd, fd, destination, fstype)
            self._attach(mount.get("source") or fstype, fd, fstype, parsed, destination)
        if readonly:
            mounted = target.open_in_root(self.root_fd, destination)
            self.readonly.append((mounted, parsed.flags & ~linux.MS_REC, destination))

    def _make_mountpoint(self, destination: str, *, directory: bool) -> int:
        """Open a mountpoint, created if it is missing in the image. In /proc and /sys none can be created."""
        try:
            return target.make_mountpoint(self.root_fd, destination, directory=directory)
        except OSError:
            kernel_paths.check_text(destination)
            raise

    def _attach(self, source: str, fd: int, fstype: str, parsed: options.MountOptions, destination: str) -> None:
        flags = parsed.flags & ~linux.MS_REC
        if fstype == "proc" and self.proc >= 0:
            self._attach_proc(fd, flags, destination)
        else:
            linux.mount(source, f"/proc/self/fd/{fd}", fstype, flags, parsed.data or None, shown=destination)
        if parsed.propagation:
            # `fd` is of the directory below the new mount, so the mount is opened by its path.
            with linux.closing(target.open_in_root(self.root_fd, destination)) as mounted:
                propagation = options.PROPAGATION[parsed.propagation]
                linux.mount(None, f"/proc/self/fd/{mounted}", None, propagation, shown=destination)

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
        source = max(made, tree)  # at most one of them is a descriptor
        if source < 0:
            source = self.bundle.open_source(mount)
        with linux.closing(source):
            directory = stat.S_ISDIR(os.fstat(source).st_mode)
            with linux.closing(self._make_mountpoint(destination, directory=directory)) as fd:
                kernel_paths.check(self.root_fd, fd, destination, "", f"/proc/self/fd/{source}")
                if made >= 0:
                    flags = linux.MOVE_MOUNT_F_EMPTY_PATH | linux.MOVE_MOUNT_T_EMPTY_PATH
                    linux.move_mount(made, "", fd, "", flags, shown=destination)
                    return
                staged = f"{self.stage}/{'d' if directory else 'f'}"
                if tree >= 0:
                    linux.move_mount(tree, "", linux.AT_FDCWD, staged, linux.MOVE_MOUNT_F_EMPTY_PATH)
                    bind.change_mount(staged, **changes(parsed))
                else:
                    opened = f"/proc/self/fd/{source}"
                    bind.bind_mount(opened, staged, recursive=is_recursive(parsed), **changes(parsed))
                linux.mount(staged, f"/proc/self/fd/{fd}", None, linux.MS_MOVE, shown=destination)

    def _open_shared_sources(self) -> dict[str, int]:
        """Clone the mounts that stay shared with the host, before all others become slaves of the host's."""
        trees = {}
        for mount in self.config.get("mounts") or []:
            parsed = options.MountOptions(mount.get("options") or [])
            if parsed.propagation in ("shared", "rshared") and is_bind(mount):
                flags = linux.OPEN_TREE_CLONE | linux.OPEN_TREE_CLOEXEC | linux.AT_EMPTY_PATH
                recursive = linux.AT_RECURSIVE if is_recursive(parsed) else 0
                with linux.closing(self.bundle.open_source(mount)) as source:
                    tree = linux.open_tree("", flags | recursive, source, shown=mount["source"])
                trees[mount["destination"]] = tree
        return trees

    def _refuse_link(self, destination: str) -> None:
        parent, name = os.path.split(os.path.normpath(destination))
        with linux.closing(target.make_directory(self.root_fd, parent)) as parent_fd:
            try:
                mode = os.stat(name, dir_fd=parent_fd, follow_symlinks=False).st_mode
            except FileNotFoundError:
                return
        if stat.S_ISLNK(mode):
            raise OSError(errno.ELOOP, "symbolic link in the image", destination)


def is_bind(mount: dict[str, Any]) -> bool:
    """Return whether a mount is a bind, not a new file system."""
    return mount.get("type") == "bind" or any(option in ("bind", "rbind") for option in mount.get("options") or [])


def is_recursive(parsed: options.MountOptions) -> bool:
    """Return whether a bind includes the mounts below its source: `rbind`, or the type "bind" without `bind`."""
    return bool(parsed.flags & linux.MS_REC) or not parsed.flags & linux.MS_BIND


def changes(parsed: options.MountOptions) -> dict[str, Any]:
    """Return the arguments of `bind.change_mount` for a bind with these options."""
    return {
        "readonly": bool(parsed.flags & linux.MS_RDONLY),
        "readonly_recursive": parsed.readonly_recursive,
        "propagation": parsed.propagation or "rprivate",
        "flags": parsed.flags & ~(linux.MS_BIND | linux.MS_REC | linux.MS_RDONLY),
    }
