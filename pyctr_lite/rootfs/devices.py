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


def make_devices(
    root_fd: int,
    devices: list[dict[str, Any]],
    check: Callable[[int, int, str], None] = lambda root_fd, directory_fd, path: None,
) -> None:
    """Create the default devices and links, and those of `linux.devices`, in the root open as `root_fd`.

    `check` is called with the root, a device's directory and its path; it raises if no device is allowed there.
    In a user namespace mknod(2) fails with EPERM, and the host's device is bind-mounted instead.
    """
    listed = {os.path.normpath(device["path"]) for device in devices}
    with linux.closing(target.make_directory(root_fd, "/dev")) as dev_fd:
        for name, major, minor in DEFAULT_DEVICES:
            if f"/dev/{name}" not in listed:
                _make_device(dev_fd, f"/dev/{name}", stat.S_IFCHR | 0o666, os.makedev(major, minor), 0, 0)
        for name, destination in DEFAULT_LINKS:
            try:
                os.symlink(destination, name, dir_fd=dev_fd)
            except FileExistsError:
                if name == "ptmx" and not stat.S_ISLNK(
                    os.stat(name, dir_fd=dev_fd, follow_symlinks=False).st_mode
                ):
                    os.unlink(name, dir_fd=dev_fd)
                    os.symlink(destination, name, dir_fd=dev_fd)
    for device in devices:
        path = os.path.normpath(device["path"])
        with linux.closing(target.make_directory(root_fd, os.path.dirname(path))) as parent_fd:
            check(root_fd, parent_fd, path)
            mode = _TYPES[device["type"]] | device.get("fileMode", 0o666) & 0o7777
            number = os.makedev(device.get("major", 0), device.get("minor", 0))
            _make_device(parent_fd, path, mode, number, device.get("uid", 0), device.get("gid", 0))


def _make_device(parent_fd: int, path: str, mode: int, number: int, uid: int, gid: int) -> None:
    name, made = os.path.basename(path), False
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
            _bind_device(parent_fd, name, _find_host_device(path, stat.S_IFMT(mode), number))
            return
    with linux.closing(os.open(name, linux.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent_fd)) as fd:
        found = os.fstat(fd)
        if not made and found.st_dev != os.fstat(parent_fd).st_dev:
            return  # the bundle has mounted something there
        if stat.S_IFMT(found.st_mode) != stat.S_IFMT(mode) or found.st_rdev != number:
            raise OSError(errno.EEXIST, "mknod: another file exists there", path)
        if uid or gid:
            os.chown(f"/proc/self/fd/{fd}", uid, gid)


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


def _bind_device(parent_fd: int, name: str, path: str) -> None:
    with linux.closing(os.open(name, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=parent_fd)) as fd:
        linux.mount(path, f"/proc/self/fd/{fd}", None, linux.MS_BIND, shown=path)
