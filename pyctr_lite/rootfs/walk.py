"""Going through directory trees that a container or an image made: they may be deeper than any limit of ours."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(path: str | bytes, dir_fd: int | None = None) -> None:
    """Remove a directory with all that is in it, never following a link; what another removes meanwhile is fine.

    Fails with FileNotFoundError where there is nothing at `path`, with EPERM for a file that chattr(1) protects.
    """
    while True:
        top = os.open(path, _DIRECTORY, dir_fd=dir_fd)
        try:
            visit(top, _remove_files, _remove_directory)
            os.rmdir(path, dir_fd=dir_fd)
            return
        except FileNotFoundError:
            continue  # another process was here: from the top again, until there is none


def disk_usage(path: str) -> int:
    """The bytes of the files under a directory, a file with several names once."""
    seen: set[tuple[int, int]] = set()
    total = 0

    def add_files(directory: int) -> list[str]:
        nonlocal total
        below = []
        with os.scandir(directory) as entries:
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # in a container that runs
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.name)
                elif (status.st_dev, status.st_ino) not in seen:
                    seen.add((status.st_dev, status.st_ino))
                    total += status.st_size
        return below

    try:
        visit(os.open(path, _DIRECTORY & ~os.O_NOFOLLOW), add_files, lambda parent, name: None)
    except FileNotFoundError:
        pass
    return total


def visit(top: int, enter: Callable[[int], list[str]], leave: Callable[[int, str], None]) -> None:
    """Go through a tree with one descriptor and no recursion. `top` is closed at the end.

    `enter` is called with each directory's descriptor, and says which directories in it to go to; `leave` is
    called with the descriptor and a name once all below that is done.
    Fails with FileNotFoundError where the way back is lost: somebody removed or moved a directory meanwhile.
    """
    fd = top
    way: list[tuple[os.stat_result, str]] = []
    try:
        pending = [enter(fd)]
        while pending:
            if pending[-1]:
                name = pending[-1].pop()
                here = os.fstat(fd)
                try:
                    fd = _exchange(fd, name)
                except (FileNotFoundError, NotADirectoryError):
                    continue  # removed, or something else by now
                way.append((here, name))
                pending.append(enter(fd))
                continue
            pending.pop()
            if way:
                parent, name = way.pop()
                fd = _exchange(fd, "..")
                if not os.path.samestat(parent, os.fstat(fd)):
                    raise FileNotFoundError(f"the directory {name} was moved meanwhile")
                leave(fd, name)
    finally:
        os.close(fd)


def _exchange(fd: int, name: str) -> int:
    """A directory seen from another, which is closed."""
    other = os.open(name, _DIRECTORY, dir_fd=fd)
    os.close(fd)
    return other


def _remove_files(directory: int) -> list[str]:
    below = []
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                below.append(entry.name)
            else:
                try:
                    os.unlink(entry.name, dir_fd=directory)
                except FileNotFoundError:
                    pass
    return below


def _remove_directory(parent: int, name: str) -> None:
    try:
        os.rmdir(name, dir_fd=parent)
    except FileNotFoundError:
        pass


class Deep:
    """A context in which a function may call itself for each directory on the way down, a descriptor open in each.

    A path of 4096 bytes has up to 2048 directories; Python stops at 1000 calls, most shells at 1024 descriptors.
    """

    def __enter__(self) -> None:
        import resource
        import sys

        self._calls, self._files = sys.getrecursionlimit(), resource.getrlimit(resource.RLIMIT_NOFILE)
        sys.setrecursionlimit(max(self._calls, 20_000))
        resource.setrlimit(resource.RLIMIT_NOFILE, (self._files[1], self._files[1]))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import resource
        import sys

        sys.setrecursionlimit(self._calls)
        resource.setrlimit(resource.RLIMIT_NOFILE, self._files)
