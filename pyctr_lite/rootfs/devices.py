"""`/dev` of a container: the devices that every program expects, and those in the config.

A device may be requested in a directory that another container can write to, such as a volume. Its directory is
therefore resolved once, inside the root; the device is created there by name and never replaces a file. It is then
checked, chowned and bound through a descriptor: if another file has taken its name meanwhile, that is an error.
Source: OCI runtime spec, config-linux.md, "Default Devices" and "Default symbolic links".
"""

from __future__ import annotations

import errno
import os
import stat

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import explain, kernelfile
from pyctr_lite.rootfs import target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

DEFAULT_DEVICES = (
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
)
DEFAULT_LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
)
_TYPES = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}


class Device:
    """One entry of `linux.devices`. Raises InvalidArgument for an entry that is not a device."""

    __slots__ = ("gid", "mode", "number", "path", "uid")

    def __init__(self, item: dict[str, Any]) -> None:
        path, kind = item.get("path"), item.get("type")
        if not isinstance(path, str) or not path.startswith("/") or kind not in _TYPES:
            raise InvalidArgument(
                f"device {path}: needs an absolute path, and the type c, u, b or p, not {kind!r}"
            )
        major, minor = item.get("major"), item.get("minor")
        if kind != "p" and not (isinstance(major, int) and isinstance(minor, int) and major >= 0 <= minor):
            raise InvalidArgument(f"device {path}: needs a major and a minor number")
        mode = item.get("fileMode")
        self.path = os.path.normpath(path)
        self.mode = _TYPES[kind] | (0o666 if mode is None else mode & 0o7777)
        self.number = 0 if kind == "p" else os.makedev(major or 0, minor or 0)
        self.uid, self.gid = item.get("uid") or 0, item.get("gid") or 0

    @property
    def is_made(self) -> bool:
        """Whether the runtime makes it in any case, as a link or from the terminal."""
        return self.path in ("/dev/ptmx", "/dev/console")


def key(path: str) -> str:
    """Return the key of a device's node among the mounts that were made for a user namespace."""
    return f"device {path}"


def make_devices(
    root_fd: int,
    devices: list[dict[str, Any]],
    check: Callable[[int, int, str], None] = lambda root_fd, directory_fd, path: None,
    nodes: dict[str, int] | None = None,
) -> None:
    """Create the default devices and links, and those of `linux.devices`, in the root open as `root_fd`.

    `check` is called with the root, a device's directory and its path; it raises if no device is allowed there.
    In a user namespace mknod(2) fails with EPERM. Then a detached mount of the device in `nodes`, by its `key`, is
    attached instead, or else the host's device is bound.
    """
    listed = [device for device in map(Device, devices) if not device.is_made]
    paths = {device.path for device in listed}
    with linux.closing(_open_dev(root_fd)) as dev_fd:
        for name, major, minor in DEFAULT_DEVICES:
            if f"/dev/{name}" not in paths:
                item = {"path": f"/dev/{name}", "type": "c", "major": major, "minor": minor}
                _make_device(dev_fd, Device(item), {})
        for name, destination in DEFAULT_LINKS:
            try:
                os.symlink(destination, name, dir_fd=dev_fd)
            except FileExistsError:
                if name == "ptmx" and not stat.S_ISLNK(
                    os.stat(name, dir_fd=dev_fd, follow_symlinks=False).st_mode
                ):
                    os.unlink(name, dir_fd=dev_fd)
                    os.symlink(destination, name, dir_fd=dev_fd)
    for device in listed:
        with linux.closing(target.make_directory(root_fd, os.path.dirname(device.path))) as parent_fd:
            check(root_fd, parent_fd, device.path)
            _make_device(parent_fd, device, nodes or {})


def _open_dev(root_fd: int) -> int:
    """Open /dev, made if it is missing. If it is a link that leads nowhere, no directory is made for it."""
    try:
        os.mkdir("dev", 0o755, dir_fd=root_fd)
    except FileExistsError:
        pass
    try:
        return target.open_in_root(root_fd, "/dev", linux.O_PATH | os.O_DIRECTORY)
    except FileNotFoundError:
        raise OSError(errno.ENOENT, "is a link that leads nowhere in the container's root", "/dev") from None


def _make_device(parent_fd: int, device: Device, nodes: dict[str, int]) -> None:
    path, mode, number, made = device.path, device.mode, device.number, False
    name = os.path.basename(path)
    call = f'mknod("{name}", {mode:#o}, {os.major(number)}:{os.minor(number)})'
    with linux.umask(0):
        try:
            explain.step(call, os.mknod, name, mode, number, dir_fd=parent_fd)
            made = True
        except FileExistsError:
            pass
        except OSError as error:
            if error.errno != errno.EPERM:
                raise OSError(error.errno, f"mknod: {error.strerror}", path) from None
            tree = nodes.pop(key(path), -1)
            if tree < 0:
                tree = _clone_host_device(_find_host_device(path, stat.S_IFMT(mode), number))
            _attach(parent_fd, name, tree)
            return
    with linux.closing(os.open(name, linux.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent_fd)) as fd:
        found = os.fstat(fd)
        if not made and found.st_dev != os.fstat(parent_fd).st_dev:
            return  # the bundle has mounted something there
        if stat.S_IFMT(found.st_mode) != stat.S_IFMT(mode) or found.st_rdev != number:
            raise OSError(errno.EEXIST, "mknod: another file exists there", path)
        if device.uid or device.gid:
            os.chown(f"/proc/self/fd/{fd}", device.uid, device.gid)


def _find_host_device(path: str, kind: int, number: int) -> str:
    """Return the path of a device on the host, by its number: the path in the container, or sysfs's DEVNAME."""
    paths = [path]
    try:
        sysfs = f"/sys/dev/{'block' if kind == stat.S_IFBLK else 'char'}/{os.major(number)}:{os.minor(number)}"
        lines = kernelfile.read(f"{sysfs}/uevent").splitlines()
        paths += [f"/dev/{line[8:]}" for line in lines if line.startswith("DEVNAME=")]
    except OSError:
        pass  # a FIFO, or a device that does not exist
    for each in paths:
        try:
            found = os.stat(each)
        except OSError:
            continue
        if stat.S_IFMT(found.st_mode) == kind and found.st_rdev == number:
            return each
    reason = "mknod is not permitted in a user namespace, and the host has no such device to bind"
    raise OSError(errno.EPERM, reason, path)


def _clone_host_device(path: str) -> int:
    tree = linux.open_tree(path, linux.OPEN_TREE_CLONE | linux.OPEN_TREE_CLOEXEC)
    flags = linux.MOUNT_ATTR_NOSUID | linux.MOUNT_ATTR_NOEXEC
    linux.mount_setattr(tree, "", linux.AT_EMPTY_PATH, set=flags, propagation=linux.MS_PRIVATE)
    return tree


def _attach(parent_fd: int, name: str, tree: int) -> None:
    flags = os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with linux.closing(tree), linux.closing(os.open(name, flags, 0o666, dir_fd=parent_fd)) as fd:
        attach = linux.MOVE_MOUNT_F_EMPTY_PATH | linux.MOVE_MOUNT_T_EMPTY_PATH
        linux.move_mount(tree, "", fd, "", attach, shown=name)
