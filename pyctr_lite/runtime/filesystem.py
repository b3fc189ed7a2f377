"""The container's root file system: a bundle's `root` and `mounts`, mounted and entered."""

from __future__ import annotations

import errno
import os
import stat

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.rootfs import devices, masks, options, overlay, pivot, target
from pyctr_lite.runtime import binds, cgroupfs, console, kernel_paths, process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.runtime import bundle as bundles
    from pyctr_lite.runtime import mounts


ROOT = "/"
"""The key of the root in `RootFilesystem.trees`; the others are `Mount.key` and `devices`."""


class RootFilesystem:
    """The root of one container, built in the container's own mount namespace.

    `stage` is a directory on the host with an empty directory `d` and an empty file `f`: a bind is made and
    changed on one of them, by its path, and then moved to its mountpoint inside, which is held by a descriptor. So
    a link inside that is swapped at the right moment cannot redirect a mount (CVE-2021-30465). `trees` are the
    mounts that the launcher made for a container in a user namespace (`runtime.trees`), by their keys. `proc` is
    a procfs of the pid namespace that the container joins, -1 if the caller is in the container's own. Without
    `pivot`, the root is entered by moving it over `/`: pivot_root(2) fails if `/` is a ramfs.
    """

    def __init__(
        self, bundle: bundles.Bundle, stage: str, trees: dict[str, int], proc: int = -1, *, pivot: bool = True
    ) -> None:
        self.bundle, self.stage, self.trees, self.proc, self.pivot = bundle, stage, trees, proc, pivot
        self._proc_attached = False
        self.config = bundle.config
        self.linux: dict[str, Any] = bundle.config.get("linux") or {}
        self.isolated = any("mount" in names for names in bundle.namespaces())
        """Whether there is a mount namespace of the container's, if only one that it joins."""
        self.root_fd = -1
        self.readonly: list[int] = []
        """Mounts to be made read-only last: what is in them is made first."""

    def build(self) -> None:
        """Mount the root, the bundle's mounts and its devices. The caller has a mount namespace of its own."""
        shared = binds.clone_shared(self.bundle, self.trees)
        # Until the root is entered, no mount is shared: systemd makes the host's `/` shared, so every mount made
        # here would appear on the host. A slave still receives the host's mounts and unmounts.
        propagation = self.linux.get("rootfsPropagation") or "rslave"
        kind = linux.MS_PRIVATE if "private" in propagation else linux.MS_SLAVE
        if self.isolated:
            linux.mount(None, "/", None, kind | linux.MS_REC)
        self._mount_root()
        needs_devices, has_proc = True, False
        for mount in self.bundle.mounts:
            self._mount(mount, shared)
            has_proc = has_proc or mount.path == "/proc"
            if mount.path == "/dev":
                needs_devices = not mount.is_bind
        if needs_devices:
            check = kernel_paths.check_device
            devices.make_devices(self.root_fd, self.linux.get("devices") or [], check, self.trees)
            if (self.config.get("process") or {}).get("terminal"):
                os.close(target.make_mountpoint(self.root_fd, "/dev/console", directory=False))
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
        covers_root = ROOT in self.trees
        path = f"/proc/self/fd/{self.root_fd}" if covers_root else self.bundle.rootfs
        if self.isolated and self.pivot:
            pivot.pivot_root(path)
        elif self.isolated:
            from pyctr_lite.rootfs import chroot

            chroot.move_root(path, covers_root=covers_root)
        else:
            from pyctr_lite.rootfs import chroot

            os.chdir(path)
            chroot.change_root()
        propagation = self.linux.get("rootfsPropagation") or "private"
        if "private" not in propagation and "slave" not in propagation:
            keep = ~0 if self.bundle.host else ~linux.MS_REC
            linux.mount(None, "/", None, options.PROPAGATION[propagation] & keep)
        for fd in self.readonly:
            linux.mount_setattr(fd, "", linux.AT_EMPTY_PATH, set=linux.MOUNT_ATTR_RDONLY)
            os.close(fd)
        for name in self.linux.get("readonlyPaths") or []:
            masks.readonly_path(self.root_fd, name)
        masks.mask_paths(self.root_fd, self.linux.get("maskedPaths") or [])
        if (self.config.get("root") or {}).get("readonly"):
            masks.readonly_root()

    def _mount_root(self) -> None:
        rootfs, layers = self.bundle.rootfs, self.bundle.overlay
        if ROOT in self.trees:
            # Root in a user namespace cannot traverse the host path, so the tree is mounted over `/` first.
            self.root_fd = self.trees[ROOT]
            linux.move_mount(self.root_fd, "", linux.AT_FDCWD, "/", linux.MOVE_MOUNT_F_EMPTY_PATH)
            return
        self.bundle.require_root()
        if layers is not None and self.bundle.mounts_overlay():
            volatile = layers.get("volatile") or False
            overlay.mount_overlay(layers["lower"], layers["upper"], layers["work"], rootfs, volatile=volatile)
        else:
            linux.mount(rootfs, rootfs, None, linux.MS_BIND | linux.MS_REC)
            if not self.isolated:  # what is mounted in it is not to appear in other mount namespaces
                linux.mount(None, rootfs, None, linux.MS_PRIVATE | linux.MS_REC)
            elif "slave" not in (self.linux.get("rootfsPropagation") or ""):
                linux.mount(None, rootfs, None, linux.MS_PRIVATE)
        self._open_root()

    def _open_root(self) -> None:
        self.root_fd = os.open(self.bundle.rootfs, linux.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def _mount(self, mount: mounts.Mount, shared: dict[str, int]) -> None:
        parsed = mount.options
        if parsed.flags & linux.MS_REMOUNT:
            self._remount(mount)
        elif mount.is_bind:
            binds.attach(self, mount, shared)
        elif mount.fstype == "cgroup":
            own = any("cgroup" in names for names in self.bundle.namespaces())
            cgroupfs.mount_cgroups(self.root_fd, mount.destination, parsed.flags, own_namespace=own)
        else:
            if mount.fstype in ("proc", "sysfs"):
                self._refuse_link(mount)
            inherit = mount.fstype == "tmpfs" and target.exists(self.root_fd, mount.destination)
            with linux.closing(self.make_mountpoint(mount.destination, directory=True)) as fd:
                kernel_paths.check(self.root_fd, fd, mount.destination, mount.fstype)
                self._attach(mount, fd, inherit=inherit)
        if mount.path == "/" and not parsed.flags & linux.MS_REMOUNT:
            os.close(self.root_fd)  # it is of the mount below
            self._open_root()

    def make_mountpoint(self, destination: str, *, directory: bool) -> int:
        """Open a mountpoint, created if it is missing in the image. In /proc and /sys none can be created."""
        try:
            return target.make_mountpoint(self.root_fd, destination, directory=directory)
        except OSError as error:
            kernel_paths.check_text(destination)
            if error.errno == errno.EROFS:
                text = "cannot create the mountpoint: the image lacks it, and the file system is read-only"
                raise OSError(errno.EROFS, text, destination) from None
            raise

    def _remount(self, mount: mounts.Mount) -> None:
        """Change the flags, and without `bind` the file system's options, of an existing mount."""
        flags = mount.options.flags & ~linux.MS_REC
        with linux.closing(target.open_in_root(self.root_fd, mount.destination)) as fd:
            path = f"/proc/self/fd/{fd}"
            linux.mount(None, path, None, flags, mount.options.data or None, shown=mount.destination)
            binds.set_options_of_tree(fd, mount)

    def _attach(self, mount: mounts.Mount, fd: int, *, inherit: bool) -> None:
        """Make a new file system and mount it on what `fd` is open at. It may `inherit` the mode of that."""
        parsed, fstype = mount.options, mount.fstype
        flags, data = parsed.flags & ~linux.MS_REC, parsed.data
        source = mount.source or fstype
        if inherit and not any(option.startswith("mode=") for option in data.split(",")):
            # As in runc: a tmpfs has the mode of the image's directory that it covers.
            mode = f"mode={stat.S_IMODE(os.fstat(fd).st_mode):o}"
            data = f"{mode},{data}" if data else mode
        if fstype == "proc" and self.proc >= 0:
            self._attach_proc(mount, fd, flags)
        elif fstype == "sysfs" and mount.key in self.trees:
            self._attach_sysfs(mount, fd, source, flags)
        elif mount.needs_tree:
            from pyctr_lite.rootfs import detached

            readonly = fstype == "tmpfs" and flags & linux.MS_RDONLY
            tree = detached.make_with_flags(fstype, source, flags & ~readonly, data)
            if mount.has("tmpcopyup"):
                from pyctr_lite.volumes import copyup

                copyup.copy_up(fd, tree)
            self.attach_tree(tree, fd, mount)
            binds.set_options_of_tree(tree, mount)
            if readonly:
                self.readonly.append(tree)
            else:
                os.close(tree)
        else:
            linux.mount(source, f"/proc/self/fd/{fd}", fstype, flags, data or None, shown=mount.destination)

    def attach_tree(self, tree: int, fd: int, mount: mounts.Mount) -> None:
        """Attach a detached mount to what `fd` is open at."""
        flags = linux.MOVE_MOUNT_F_EMPTY_PATH | linux.MOVE_MOUNT_T_EMPTY_PATH
        linux.move_mount(tree, "", fd, "", flags, shown=mount.destination)

    def _attach_proc(self, mount: mounts.Mount, fd: int, flags: int) -> None:
        tree = self.proc
        if self._proc_attached:
            tree = linux.open_tree("", linux.OPEN_TREE_CLONE | linux.OPEN_TREE_CLOEXEC | linux.AT_EMPTY_PATH, tree)
        self.attach_tree(tree, fd, mount)
        change = linux.MS_REMOUNT | linux.MS_BIND | flags
        linux.mount(None, f"/proc/self/fd/{tree}", None, change, shown=mount.destination)
        if tree != self.proc:
            os.close(tree)
        self._proc_attached = True

    def _attach_sysfs(self, mount: mounts.Mount, fd: int, source: str, flags: int) -> None:
        """Mount sysfs, or the launcher's read-only clone of the host's if the network namespace is another's."""
        with linux.closing(self.trees.pop(mount.key)) as tree:
            try:
                linux.mount(source, f"/proc/self/fd/{fd}", "sysfs", flags, shown=mount.destination)
            except PermissionError:
                self.attach_tree(tree, fd, mount)

    def _refuse_link(self, mount: mounts.Mount) -> None:
        parent, name = os.path.split(mount.path)
        with linux.closing(target.make_directory(self.root_fd, parent)) as parent_fd:
            try:
                mode = os.stat(name, dir_fd=parent_fd, follow_symlinks=False).st_mode
            except FileNotFoundError:
                return
        if not stat.S_ISDIR(mode):
            kind = "a symbolic link" if stat.S_ISLNK(mode) else "a file"
            raise InvalidArgument(
                f'filesystem "{mount.fstype}" must be mounted on ordinary directory: '
                f"{mount.destination} is {kind} in the image"
            )
