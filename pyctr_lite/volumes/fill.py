"""The initial content of a volume: a copy of the image's directory at the mount point.

Another container may use the volume meanwhile and put links in it. Files are therefore never copied, linked,
chowned or chmoded in a directory that a container can reach. The copy is made beside `_data`, in the volume's own
directory, without following links; when it is complete, its top-level entries are moved into `_data`, each
atomically and without replacing a file (rename(2), link(2)). The image's layers are read-only, so the source does
not change. `_data` itself is only used by descriptor.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument, PyctrError
from pyctr_lite.rootfs import target, walk

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

_COPYING, _COPIED = "copying", "copied"
"""The directory beside `_data` for the copy, and its name after the copy is complete."""
_TREE, _LINKS = "tree", "links"
"""Its entries: the copy, and a numbered directory of the files that have several hard links."""


def fill_volume(data_directory: str, root_fd: int, path: str) -> bool:
    """Copy the directory at `path` in a root file system into an empty volume's `_data`; return whether it did.

    `root_fd` is a descriptor of the mounted root. `path` is resolved inside it, so that no symbolic link leads
    out; if nothing is there, nothing is copied. The copy keeps owners, modes, times and links (`copy_tree`).
    The file `filling` beside `_data` marks a copy in progress: if it failed or was killed, the next call resumes
    it. Concurrent calls wait for each other, by flock(2) on the directory that contains `_data`. A directory of
    the host (a volume with `o=bind`, whose directory is not named `_data`) is left unchanged.
    Raises InvalidArgument, which names `path`, if it is not a directory; fails with ENOENT if there is no volume.
    """
    volume, name = os.path.split(data_directory.rstrip("/"))
    if name != "_data":  # a directory of the host: do not write beside it
        return False
    marker = os.path.join(volume, "filling")
    with linux.closing(os.open(volume, _DIRECTORY)) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.listdir(data_directory) and not os.path.exists(marker):
            return False
        try:
            source = target.open_in_root(root_fd, path, _DIRECTORY)
        except FileNotFoundError:
            return False
        except NotADirectoryError:
            raise InvalidArgument(f"cannot mount volume over existing file, file exists {path}") from None
        with linux.closing(source):
            os.close(os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
            with linux.closing(os.open(data_directory, _DIRECTORY | os.O_NOFOLLOW)) as data:
                copy_tree(source, data)
            os.unlink(marker)
    return True


def copy_tree(source: int, data: int) -> None:
    """Copy the contents of a directory into a volume's `_data`, without replacing files. Both are descriptors.

    Owners, modes, times, xattrs, hard links, devices and holes are preserved, also the directory's own attributes.
    Each entry appears atomically. After a kill, an incomplete copy is made again, and a complete one is moved.
    Raises PyctrError if another file system is mounted on `_data`.
    """
    with linux.closing(os.open("..", _DIRECTORY, dir_fd=data)) as volume:
        if not _exists(_COPIED, volume):
            if _exists(_COPYING, volume):
                walk.remove_tree(_COPYING, volume)
            _copy_beside(source, volume)
            os.rename(_COPYING, _COPIED, src_dir_fd=volume, dst_dir_fd=volume)
        if _exists(f"{_COPIED}/{_TREE}", volume):  # else a call was killed in the removal below
            with linux.closing(os.open(f"{_COPIED}/{_TREE}", _DIRECTORY | os.O_NOFOLLOW, dir_fd=volume)) as tree:
                _publish(tree, data)
        walk.remove_tree(_COPIED, volume)  # with the entries whose names exist in `_data`
    copy_attributes(source, data)


def _copy_beside(source: int, volume: int) -> None:
    for name in (_COPYING, f"{_COPYING}/{_TREE}", f"{_COPYING}/{_LINKS}"):
        os.mkdir(name, 0o700, dir_fd=volume)
    with linux.closing(os.open(f"{_COPYING}/{_LINKS}", _DIRECTORY, dir_fd=volume)) as links:
        tree = os.open(f"{_COPYING}/{_TREE}", _DIRECTORY, dir_fd=volume)
        Copier(links).copy(os.dup(source), tree)


def _publish(tree: int, data: int) -> None:
    """Move each entry of one directory into another that a container may use, except if its name exists there."""
    for name in os.listdir(tree):
        try:
            if stat.S_ISDIR(os.stat(name, dir_fd=tree, follow_symlinks=False).st_mode):
                os.rename(name, name, src_dir_fd=tree, dst_dir_fd=data)
            else:  # rename(2) would replace a file
                os.link(name, name, src_dir_fd=tree, dst_dir_fd=data, follow_symlinks=False)
                os.unlink(name, dir_fd=tree)
        except OSError as error:
            if error.errno == errno.EXDEV:
                raise PyctrError(
                    "cannot copy the image's files into a volume: another file system is mounted on _data",
                    "fill it by hand, and mount it with nocopy",
                ) from None
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise


class Copier:
    """A copy of a tree, with one descriptor per tree and no recursion: a tree may be 10,000 levels deep.

    A file with several hard links is first created in the directory `links`, from where a link needs no path.
    With `lenient`, devices are left out that the caller may not make, as in a user namespace.
    """

    def __init__(self, links: int, *, lenient: bool = False) -> None:
        self.links, self.lenient = links, lenient
        self.seen: dict[tuple[int, int], str] = {}  # (device, inode): name of the copy in `links`

    def copy(self, source: int, copy: int) -> None:
        """Copy the entries of a directory, then its own attributes. Closes both descriptors."""
        try:
            pending = [self.copy_files(source, copy)]
            while True:
                if pending[-1]:
                    name = pending[-1].pop()
                    os.mkdir(name, 0o700, dir_fd=copy)
                    source = _reopen(source, name)  # one by one: what is open is closed if the second fails
                    copy = _reopen(copy, name)
                    pending.append(self.copy_files(source, copy))
                    continue
                copy_attributes(source, copy)  # last, because each new entry changes its time
                pending.pop()
                if not pending:
                    return
                source = _reopen(source, "..")  # no other process can move them
                copy = _reopen(copy, "..")
        finally:
            os.close(source)
            os.close(copy)

    def copy_files(self, source: int, copy: int) -> list[str]:
        """Copy the files of a directory; return the names of its subdirectories."""
        below = []
        for name in os.listdir(source):
            status = os.stat(name, dir_fd=source, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                below.append(name)
            elif self.lenient and not stat.S_ISREG(status.st_mode) and not stat.S_ISLNK(status.st_mode):
                try:
                    copy_file(source, name, status, copy, name)
                except PermissionError:
                    continue  # mknod(2) in a user namespace
            elif status.st_nlink == 1:
                copy_file(source, name, status, copy, name)
            else:
                identity = (status.st_dev, status.st_ino)
                if identity not in self.seen:
                    self.seen[identity] = str(len(self.seen))
                    copy_file(source, name, status, self.links, self.seen[identity])
                first = self.seen[identity]
                os.link(first, name, src_dir_fd=self.links, dst_dir_fd=copy, follow_symlinks=False)
        return below


def _reopen(fd: int, name: str) -> int:
    """Open a directory relative to another, and close that."""
    other = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
    os.close(fd)
    return other


def copy_file(source: int, name: str, status: os.stat_result, directory: int, new_name: str) -> None:
    """Copy a file of any kind but a directory, under a new name, into a directory that no container can reach."""
    if stat.S_ISREG(status.st_mode):
        # Not blocked by a FIFO that has taken the name meanwhile.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        with linux.closing(os.open(name, flags, dir_fd=source)) as reader:
            if not stat.S_ISREG(os.fstat(reader).st_mode):
                raise OSError(errno.ESTALE, "another file has taken its name meanwhile", name)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            with linux.closing(os.open(new_name, flags, 0o600, dir_fd=directory)) as writer:
                copy_content(reader, writer)
                copy_attributes(reader, writer)
        return
    if stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(name, dir_fd=source), new_name, dir_fd=directory)
    else:
        os.mknod(new_name, status.st_mode, status.st_rdev, dir_fd=directory)
    os.chown(new_name, status.st_uid, status.st_gid, dir_fd=directory, follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode):
        os.chmod(new_name, stat.S_IMODE(status.st_mode), dir_fd=directory)  # after chown(2), which clears setuid
    _copy_xattrs(f"/proc/self/fd/{source}/{name}", f"/proc/self/fd/{directory}/{new_name}")
    times = (status.st_atime_ns, status.st_mtime_ns)
    os.utime(new_name, ns=times, dir_fd=directory, follow_symlinks=False)


def copy_attributes(source: int, copy: int) -> None:
    """Copy owner, mode, xattrs and times from one open file or directory to another."""
    status = os.fstat(source)
    os.fchown(copy, status.st_uid, status.st_gid)
    os.fchmod(copy, stat.S_IMODE(status.st_mode))  # after chown(2), which clears setuid
    _copy_xattrs(source, copy)  # after chown(2), which clears capabilities
    os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))


def copy_content(reader: int, writer: int) -> None:
    """Copy a file's data inside the kernel, and keep its holes (sendfile(2), lseek(2) SEEK_DATA)."""
    size = os.fstat(reader).st_size
    position = 0
    while position < size:
        try:
            position = os.lseek(reader, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # the rest is a hole
                break
            raise
        end = os.lseek(reader, position, os.SEEK_HOLE)
        os.lseek(writer, position, os.SEEK_SET)
        while position < end:
            sent = os.sendfile(writer, reader, position, end - position)
            if not sent:  # the file was truncated meanwhile
                break
            position += sent
    os.ftruncate(writer, size)


def _copy_xattrs(source: str | int, target: str | int) -> None:
    """Copy the extended attributes of a file; of a symbolic link its own, not its target's."""
    follow = isinstance(source, int)
    for name in os.listxattr(source, follow_symlinks=follow):
        if name.startswith("trusted.overlay."):
            continue
        try:
            os.setxattr(target, name, os.getxattr(source, name, follow_symlinks=follow), follow_symlinks=follow)
        except OSError as error:
            if error.errno != errno.ENOTSUP:  # ignored, as in Docker: the volume's file system has no xattrs
                raise


def _exists(name: str, directory: int) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
