"""A new volume's first content: what the image has at the place where the volume is mounted."""

from __future__ import annotations

import errno
import fcntl
import os
import stat

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.rootfs import target, walk

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

_TEMPORARY = ".pyctr_lite-filling"
"""The one name, at the volume's top, under which a file is written before it gets its own."""


def fill_volume(data_directory: str, root_fd: int, path: str) -> bool:
    """Copy what a root file system has at `path` into a volume's `_data`, if that is empty.

    `root_fd` is a descriptor of the mounted root; `path` is resolved inside it, so that no symbolic link
    leads out. A marker, the file `filling` beside `_data`, says that a copy was begun: one that was killed is
    taken up again by the next call. Of several calls at a time one copies, and the others wait for it. A
    directory of the host (a volume made with `o=bind`, not called `_data`) is left as it is. Gives whether
    anything was copied.

    Fails with InvalidArgument where `path` is a file.
    """
    volume, name = os.path.split(data_directory.rstrip("/"))
    if name != "_data":  # not the store's: nothing of ours may lie beside it
        return False
    marker = os.path.join(volume, "filling")
    lock = os.open(volume, _DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.listdir(data_directory) and not os.path.exists(marker):
            return False
        try:
            source = target.open_in_root(root_fd, path, _DIRECTORY)
        except FileNotFoundError:
            return False
        except NotADirectoryError:
            raise InvalidArgument(f"cannot mount volume over existing file, file exists {path}") from None
        try:
            os.close(os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            data = os.open(data_directory, _DIRECTORY)
            try:
                copy_tree(source, data)
            finally:
                os.close(data)
            os.unlink(marker)
        finally:
            os.close(source)
    finally:
        os.close(lock)
    return True


def copy_tree(source: int, data: int) -> None:
    """Copy what is in the directory `source` into the directory `data`, both descriptors; what is there stays.

    Owners, modes, times, xattrs, hard links, devices and holes are kept, the directory's own too. No file is
    there by its name before it is whole, so that a copy that was killed can be taken up again.
    """
    with walk.Deep():
        _Copy(data).copy_directory(source, data)


class _Copy:
    """One copy of a tree, from directory descriptor to directory descriptor."""

    def __init__(self, top: int) -> None:
        self.top = top
        self.links: dict[tuple[int, int], str] = {}  # a file with several names: where its copy is
        try:
            os.unlink(_TEMPORARY, dir_fd=top)
        except FileNotFoundError:
            pass

    def copy_directory(self, source: int, target: int, place: str = "") -> None:
        """Copy a directory's entries, then what it is itself: its time changes with each new entry."""
        for name in os.listdir(source):
            status = os.stat(name, dir_fd=source, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                self._copy_subdirectory(source, target, name, place + name + "/")
            elif _exists(name, target):  # it is whole, of a copy that was killed
                self.links.setdefault((status.st_dev, status.st_ino), place + name)
            else:
                self._copy_entry(source, target, name, place + name, status)
        status = os.fstat(source)
        _copy_xattrs(source, target)
        os.fchown(target, status.st_uid, status.st_gid)
        os.fchmod(target, stat.S_IMODE(status.st_mode))
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))

    def _copy_subdirectory(self, source: int, target: int, name: str, place: str) -> None:
        flags = _DIRECTORY | os.O_NOFOLLOW
        try:
            os.mkdir(name, 0o700, dir_fd=target)
        except FileExistsError:
            pass
        below_source = os.open(name, flags, dir_fd=source)
        try:
            below_target = os.open(name, flags, dir_fd=target)
            try:
                self.copy_directory(below_source, below_target, place)
            finally:
                os.close(below_target)
        finally:
            os.close(below_source)

    def _copy_entry(self, source: int, target: int, name: str, place: str, status: os.stat_result) -> None:
        identity = (status.st_dev, status.st_ino)
        if identity in self.links:
            os.link(self.links[identity], name, src_dir_fd=self.top, dst_dir_fd=target, follow_symlinks=False)
            return
        if stat.S_ISREG(status.st_mode):
            self._copy_file(source, name)
        elif stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(name, dir_fd=source), _TEMPORARY, dir_fd=self.top)
        else:
            os.mknod(_TEMPORARY, status.st_mode, status.st_rdev, dir_fd=self.top)
        copy = f"/proc/self/fd/{self.top}/{_TEMPORARY}"
        os.chown(copy, status.st_uid, status.st_gid, follow_symlinks=False)
        if not stat.S_ISLNK(status.st_mode):
            os.chmod(copy, stat.S_IMODE(status.st_mode))  # after chown(2), which clears setuid
        _copy_xattrs(f"/proc/self/fd/{source}/{name}", copy)
        os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)
        os.rename(_TEMPORARY, name, src_dir_fd=self.top, dst_dir_fd=target)
        if status.st_nlink > 1:
            self.links[identity] = place

    def _copy_file(self, source: int, name: str) -> None:
        reader = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            writer = os.open(_TEMPORARY, flags, 0o600, dir_fd=self.top)
            try:
                copy_content(reader, writer)
            finally:
                os.close(writer)
        finally:
            os.close(reader)


def copy_content(reader: int, writer: int) -> None:
    """Copy a file's bytes, but not its holes, inside the kernel (sendfile(2), lseek(2) SEEK_DATA)."""
    size = os.fstat(reader).st_size
    position = 0
    while position < size:
        try:
            position = os.lseek(reader, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left
                break
            raise
        end = os.lseek(reader, position, os.SEEK_HOLE)
        os.lseek(writer, position, os.SEEK_SET)
        while position < end:
            sent = os.sendfile(writer, reader, position, end - position)
            if not sent:  # it became shorter meanwhile
                break
            position += sent
    os.ftruncate(writer, size)


def _copy_xattrs(source: str | int, target: str | int) -> None:
    """Copy the extended attributes of a file itself, not of what a symbolic link leads to."""
    follow = isinstance(source, int)
    for name in os.listxattr(source, follow_symlinks=follow):
        if name.startswith("trusted.overlay."):
            continue
        try:
            os.setxattr(target, name, os.getxattr(source, name, follow_symlinks=follow), follow_symlinks=follow)
        except OSError as error:
            if error.errno != errno.ENOTSUP:  # the volume's file system has none: as Docker, go on
                raise


def _exists(name: str, directory: int) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
