"""A new volume's first content: what the image has at the place where the volume is mounted.

Another container may hold the volume while it is filled, and put links in the way. So nothing is copied, linked,
owned or given a mode where a container can reach it. The copy is made beside `_data`, in the volume's own
directory, with no link followed; only when it is whole are its top entries moved into `_data`, each in one step
and never over what is there (rename(2), link(2)). The image's layers are read-only, so the source does not change
meanwhile. `_data` itself is only used by its descriptor.
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
"""The directory beside `_data` that the copy is made in, and its name once the copy is whole."""
_TREE, _LINKS = "tree", "links"
"""In it: the copy, and the files with several names, by number, until they have all their names."""


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
    """Copy what is in the directory `source` into a volume's `_data`, both descriptors; what is there stays.

    Owners, modes, times, xattrs, hard links, devices and holes are kept, the directory's own too. Each entry
    appears whole. A copy that was killed is taken up again: made anew or, if it was whole, moved on.
    Raises PyctrError if another file system is mounted on `_data`.
    """
    with linux.closing(os.open("..", _DIRECTORY, dir_fd=data)) as volume:
        if not _exists(_COPIED, volume):
            if _exists(_COPYING, volume):
                walk.remove_tree(_COPYING, volume)
            _copy_beside(source, volume)
            os.rename(_COPYING, _COPIED, src_dir_fd=volume, dst_dir_fd=volume)
        with linux.closing(os.open(f"{_COPIED}/{_TREE}", _DIRECTORY | os.O_NOFOLLOW, dir_fd=volume)) as tree:
            _publish(tree, data)
        walk.remove_tree(_COPIED, volume)  # with what had no place in `_data`
    _copy_attributes(source, data)


def _copy_beside(source: int, volume: int) -> None:
    for name in (_COPYING, f"{_COPYING}/{_TREE}", f"{_COPYING}/{_LINKS}"):
        os.mkdir(name, 0o700, dir_fd=volume)
    with linux.closing(os.open(f"{_COPYING}/{_LINKS}", _DIRECTORY, dir_fd=volume)) as links:
        _Copy(links).copy(os.dup(source), os.open(f"{_COPYING}/{_TREE}", _DIRECTORY, dir_fd=volume))


def _publish(tree: int, data: int) -> None:
    """Move each entry of one directory into another that a container may hold, except to names that are taken."""
    for name in os.listdir(tree):
        try:
            if stat.S_ISDIR(os.stat(name, dir_fd=tree, follow_symlinks=False).st_mode):
                os.rename(name, name, src_dir_fd=tree, dst_dir_fd=data)
            else:  # rename(2) would replace another file
                os.link(name, name, src_dir_fd=tree, dst_dir_fd=data, follow_symlinks=False)
                os.unlink(name, dir_fd=tree)
        except OSError as error:
            if error.errno == errno.EXDEV:
                text = (
                    "cannot fill a volume with what the image has there: another file system is mounted on _data"
                )
                raise PyctrError(text, "fill it by hand, and mount it with nocopy") from None
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise


class _Copy:
    """One copy of a tree, with one descriptor in each tree and no recursion: a tree may be 10,000 levels deep.

    `links` is the directory in which a file with several names is made first: a link from there needs no path.
    """

    def __init__(self, links: int) -> None:
        self.links = links
        self.seen: dict[tuple[int, int], str] = {}  # a file with several names: what its copy is called in `links`

    def copy(self, source: int, copy: int) -> None:
        """Copy a directory's entries and then, on the way back, what it is itself. Closes both descriptors."""
        try:
            pending = [self._copy_files(source, copy)]
            while True:
                if pending[-1]:
                    name = pending[-1].pop()
                    os.mkdir(name, 0o700, dir_fd=copy)
                    source, copy = _exchange(source, name), _exchange(copy, name)
                    pending.append(self._copy_files(source, copy))
                    continue
                _copy_attributes(source, copy)  # now: its time changes with each new entry
                pending.pop()
                if not pending:
                    return
                source, copy = _exchange(source, ".."), _exchange(copy, "..")  # nobody moves either meanwhile
        finally:
            os.close(source)
            os.close(copy)

    def _copy_files(self, source: int, copy: int) -> list[str]:
        """Copy the entries of a directory that are not directories, and return the names of those that are."""
        below = []
        for name in os.listdir(source):
            status = os.stat(name, dir_fd=source, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                below.append(name)
            elif status.st_nlink == 1:
                _copy_file(source, name, status, copy, name)
            else:
                identity = (status.st_dev, status.st_ino)
                if identity not in self.seen:
                    self.seen[identity] = str(len(self.seen))
                    _copy_file(source, name, status, self.links, self.seen[identity])
                first = self.seen[identity]
                os.link(first, name, src_dir_fd=self.links, dst_dir_fd=copy, follow_symlinks=False)
        return below


def _exchange(fd: int, name: str) -> int:
    """Open a directory seen from another, which is closed."""
    other = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
    os.close(fd)
    return other


def _copy_file(source: int, name: str, status: os.stat_result, directory: int, new_name: str) -> None:
    """Copy anything that is not a directory, under a new name, into a directory that no container reaches."""
    if stat.S_ISREG(status.st_mode):
        with linux.closing(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source)) as reader:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            with linux.closing(os.open(new_name, flags, 0o600, dir_fd=directory)) as writer:
                copy_content(reader, writer)
                _copy_attributes(reader, writer)
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


def _copy_attributes(source: int, copy: int) -> None:
    """Give an open file or directory the owner, mode, xattrs and times of another."""
    status = os.fstat(source)
    os.fchown(copy, status.st_uid, status.st_gid)
    os.fchmod(copy, stat.S_IMODE(status.st_mode))  # after chown(2), which clears setuid
    _copy_xattrs(source, copy)  # after chown(2), which clears capabilities
    os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))


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
