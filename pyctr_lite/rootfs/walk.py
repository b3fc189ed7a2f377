"""Going through directory trees that a container or an image made: they may be deeper than any limit of ours.

One visitor for all: it calls itself nowhere, holds a bounded number of descriptors, and uses each name once,
below the descriptor of its directory, following no link. So it does not matter how deep a tree is, how long a
path in it would be, nor what somebody puts in a directory's place meanwhile.
"""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_KEPT = 64
"""How many directories above the current one stay open: more than an ordinary tree has."""


def visit(top: int, enter: Callable[[Way], Iterator[str] | Iterator[bytes]]) -> None:
    """Go through a tree without recursion. `top` is the descriptor of its directory, closed at the end.

    `enter` is called in each directory, with the way that leads there: a generator that does what there is to
    do in `way.fd`, and yields the name of each directory to go to. It goes on when all below that is done, or
    when that is not a directory (any more). `way.fd` may be another number then.
    Raises FileNotFoundError if the way back is lost: somebody moved a directory that is more than 64 deep.
    """
    way = Way(top)
    here = []
    try:
        here.append(enter(way))
        while here:
            name = next(here[-1], None)
            if name is None:
                here.pop()
                if here:
                    way.up()
                continue
            try:
                way.down(name)
            except (FileNotFoundError, NotADirectoryError):
                continue
            here.append(enter(way))
    finally:
        way.close()


class Way:
    """A way down into a tree, and back: `fd` is the directory where it is now, `top` at first.

    The first `keep` directories stay open; of the deeper ones only their identity is kept, and `..` leads back.
    """

    __slots__ = ("_above", "_keep", "fd")

    def __init__(self, top: int, keep: int = _KEPT) -> None:
        self.fd, self._keep = top, keep
        self._above: list[int | tuple[int, int]] = []

    def down(self, name: str | bytes) -> None:
        """Go to a directory in this one. Raises NotADirectoryError for a link, too."""
        below = os.open(name, DIRECTORY, dir_fd=self.fd)
        if len(self._above) < self._keep:
            self._above.append(self.fd)
        else:
            status = os.fstat(self.fd)
            self._above.append((status.st_dev, status.st_ino))
            os.close(self.fd)
        self.fd = below

    def up(self) -> None:
        """Go back to the directory above. Raises FileNotFoundError if this one was moved elsewhere meanwhile."""
        above = self._above[-1]
        if isinstance(above, tuple):
            fd = os.open("..", DIRECTORY, dir_fd=self.fd)
            status = os.fstat(fd)
            if (status.st_dev, status.st_ino) != above:
                os.close(fd)
                raise FileNotFoundError(errno.ENOENT, "a directory was moved while it was gone through")
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


def remove_tree(path: str | bytes, dir_fd: int | None = None) -> None:
    """Remove a directory with all that is in it, never following a link; what another removes meanwhile is fine.

    Raises FileNotFoundError if nothing is at `path`, EPERM for a file that chattr(1) protects.
    """
    while True:
        top = os.open(path, DIRECTORY, dir_fd=dir_fd)
        try:
            visit(top, _remove_entries)
            os.rmdir(path, dir_fd=dir_fd)
            return
        except FileNotFoundError:
            continue  # another process was here: from the top again, until nothing is left


def _remove_entries(way: Way) -> Iterator[str]:
    with os.scandir(way.fd) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in found:
        try:
            if is_directory:
                yield name
                os.rmdir(name, dir_fd=way.fd)
            else:
                os.unlink(name, dir_fd=way.fd)
        except FileNotFoundError:
            pass


def disk_usage(path: str) -> int:
    """The bytes of the files under a directory, a file with several names once; 0 if nothing is there."""
    seen: set[tuple[int, int]] = set()
    total = 0

    def add_files(way: Way) -> Iterator[str]:
        nonlocal total
        below = []
        with os.scandir(way.fd) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.name)
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # in a container that runs
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
