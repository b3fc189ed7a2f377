"""Traversal of untrusted directory trees, which may be deeper than any limit of Python or the kernel.

There is one visitor. It does not recurse, keeps a bounded number of descriptors open, and uses each name once,
relative to its directory's descriptor and without following links. Neither the depth of a tree, nor the length of
a path in it, nor a directory that is replaced meanwhile does any harm.
"""

from __future__ import annotations

import errno
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_OPEN = 64
"""Max open directories above the current one: more than an ordinary tree needs."""


def visit(top: int, enter: Callable[[Cursor], Iterator[str] | Iterator[bytes]]) -> None:
    """Visit each directory of a tree without recursion. `top` is the descriptor of its root, closed at the end.

    `enter` is called once per directory with a cursor that is there. It is a generator: it works in `cursor.fd`
    and yields the name of each subdirectory to visit. It resumes when everything below that is done, or if the
    name is not a directory (any more). `cursor.fd` may be a different number then.
    Raises FileNotFoundError if the way back is lost, because a directory more than 64 levels deep was moved.
    """
    cursor = Cursor(top)
    visits = []
    try:
        visits.append(enter(cursor))
        while visits:
            name = next(visits[-1], None)
            if name is None:
                visits.pop()
                if visits:
                    cursor.up()
                continue
            try:
                cursor.down(name)
            except (FileNotFoundError, NotADirectoryError):
                continue
            visits.append(enter(cursor))
    finally:
        cursor.close()


class Cursor:
    """A position in a tree that moves down and back up: `fd` is the current directory, at first `top`.

    The first `max_open` directories stay open. For deeper ones, only their identity is kept, and `..` leads back.
    """

    __slots__ = ("_above", "_max_open", "fd")

    def __init__(self, top: int, max_open: int = _MAX_OPEN) -> None:
        self.fd, self._max_open = top, max_open
        self._above: list[int | tuple[int, int]] = []

    def down(self, name: str | bytes) -> None:
        """Move to a subdirectory. Raises NotADirectoryError also for a link to a directory."""
        below = os.open(name, DIRECTORY, dir_fd=self.fd)
        if len(self._above) < self._max_open:
            self._above.append(self.fd)
        else:
            status = os.fstat(self.fd)
            self._above.append((status.st_dev, status.st_ino))
            os.close(self.fd)
        self.fd = below

    def up(self) -> None:
        """Move back to the parent. Raises FileNotFoundError if the current directory was moved meanwhile."""
        above = self._above[-1]
        if isinstance(above, tuple):
            fd = os.open("..", DIRECTORY, dir_fd=self.fd)
            status = os.fstat(fd)
            if (status.st_dev, status.st_ino) != above:
                os.close(fd)
                raise FileNotFoundError(errno.ENOENT, "a directory was moved while it was visited")
            above = fd
        self._above.pop()
        os.close(self.fd)
        self.fd = above

    def close(self) -> None:
        """Close all descriptors."""
        for fd in (self.fd, *self._above):
            if isinstance(fd, int):
                os.close(fd)
        self._above = []


def remove_entry(path: str) -> None:
    """Remove a file, a link or an empty directory, never the contents of one. Fails with ENOTEMPTY."""
    if stat.S_ISDIR(os.lstat(path).st_mode):
        os.rmdir(path)
    else:
        os.unlink(path)


def remove_tree(path: str | bytes, dir_fd: int | None = None) -> None:
    """Remove a directory and its contents without following links. Another process may remove files meanwhile.

    Raises FileNotFoundError if `path` does not exist. Fails with EPERM for a file that chattr(1) protects.
    """
    while True:
        top = os.open(path, DIRECTORY, dir_fd=dir_fd)
        try:
            visit(top, _remove_entries)
            os.rmdir(path, dir_fd=dir_fd)
            return
        except FileNotFoundError:
            continue  # another process removed something: start again, until open(2) finds nothing


def _remove_entries(cursor: Cursor) -> Iterator[str]:
    with os.scandir(cursor.fd) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in found:
        try:
            if is_directory:
                yield name
                os.rmdir(name, dir_fd=cursor.fd)
            else:
                os.unlink(name, dir_fd=cursor.fd)
        except FileNotFoundError:
            pass


def disk_usage(path: str) -> int:
    """Return the bytes of the files under a directory, counting hard links once; 0 if it does not exist."""
    seen: set[tuple[int, int]] = set()
    total = 0

    def add_files(cursor: Cursor) -> Iterator[str]:
        nonlocal total
        below = []
        with os.scandir(cursor.fd) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.name)
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # deleted meanwhile by a running container
                if status.st_nlink > 1:
                    if (status.st_dev, status.st_ino) in seen:
                        continue
                    seen.add((status.st_dev, status.st_ino))
                total += status.st_size
        yield from below

    try:
        visit(os.open(path, DIRECTORY & ~os.O_NOFOLLOW), add_files)
    except FileNotFoundError:
        pass
    return total
