"""A tree that COPY and ADD take files from: the build context, or the root of a stage or an image.

Neither is trusted. Every path is resolved with the tree's root as `/`, also the links in it (openat2(2),
RESOLVE_IN_ROOT); below a directory that was opened in this way, no link is followed.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat

from pyctr_lite.build import patterns
from pyctr_lite.commit import content
from pyctr_lite.errors import InvalidArgument, NotFound
from pyctr_lite.rootfs import target, walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyctr_lite.build.patterns import Exclusions, Matches


class Entry:
    """A file or directory that was found: its name, to be opened in `directory`, and its status.

    A source that is not a directory may be a link that was followed: then `directory` is -1, and the name is the
    path of its descriptor below /proc.
    """

    __slots__ = ("directory", "name", "status")

    def __init__(self, directory: int, name: str, status: os.stat_result) -> None:
        self.directory, self.name, self.status = directory, name, status

    def open(self) -> int:
        """Open a regular file for reading."""
        if self.directory < 0:
            return os.open(self.name, os.O_RDONLY | os.O_CLOEXEC)
        return os.open(self.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.directory)

    def link_target(self) -> str:
        """Return the target of a symbolic link."""
        return os.readlink(self.name, dir_fd=self.directory)


class Visitor:
    """The base of visitors: `Tree.visit` calls it with paths relative to the source; "" is the source itself."""

    def enter(self, path: str, status: os.stat_result, xattrs: dict[str, bytes]) -> None:
        """Visit a directory; its entries come next."""

    def files(self, directory: int, path: str, names: list[str]) -> None:
        """Visit the entries of a directory (a descriptor) that are not directories, sorted by name."""
        for entry in entries(directory, names):
            self.add(entry, posixpath.join(path, entry.name))

    def leave(self) -> None:
        """End a directory."""

    def add(self, entry: Entry, path: str) -> None:
        """Visit anything but a directory."""


def entries(directory: int, names: Iterable[str]) -> Iterator[Entry]:
    """Yield the entries of a directory, without those that are removed meanwhile."""
    for name in names:
        try:
            yield Entry(directory, name, os.stat(name, dir_fd=directory, follow_symlinks=False))
        except FileNotFoundError:
            pass


def not_found(path: str, error: OSError, where: str = "") -> NotFound:
    """Return the error for a source that cannot be opened."""
    reason = "not found" if error.errno == errno.ENOENT else os.strerror(error.errno or 0).lower()
    return NotFound(f'"/{path}": {reason}{where}')


class Tree:
    """A tree to copy from. `root` is its descriptor, `exclusions` those of .dockerignore."""

    def __init__(self, root: int, exclusions: Exclusions, *, keeps_owners: bool, name: str = "") -> None:
        self.root, self.exclusions = root, exclusions
        self.keeps_owners = keeps_owners
        """Whether copies have the owners of their sources; those of the context belong to root."""
        self.name = name

    def find(self, pattern: str) -> list[str]:
        """Return the paths that a source of COPY matches, sorted, without a leading slash; "" is the root.

        A pattern may match nothing, as in BuildKit. Raises NotFound if a path without wildcards does not exist.
        """
        clean = posixpath.normpath(posixpath.join("/", pattern)).lstrip("/")
        found = [""]
        for name in clean.split("/") if clean else ():
            if patterns.is_wild(name):
                found = [path for above in found for path in self._matching(above, name)]
            else:
                found = [f"{above}/{name}" for above in found]
        found = list(dict.fromkeys(path.lstrip("/") for path in found))
        found = [path for path in found if self._exists(path) and not self._is_hidden(path)]
        if not found and not patterns.is_wild(patterns.without_escapes(clean)):
            hint = "it is excluded by .dockerignore" if self._exists(clean) else ""
            raise NotFound(f'"/{clean}": not found{self._where()}', hint)
        return sorted(found)

    def _where(self) -> str:
        return f" in {self.name}" if self.name else ""

    def _exists(self, path: str) -> bool:
        return target.exists(self.root, path)

    def _is_hidden(self, path: str) -> bool:
        if not path or not self.exclusions.excludes(path):
            return False
        return not (self.is_directory(path) and self.exclusions.may_include_below(path))

    def _matching(self, above: str, pattern: str) -> list[str]:
        matcher = patterns.compile(pattern, deep=False)
        try:
            fd = target.open_in_root(self.root, above, os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return []
        try:
            return [f"{above}/{name}" for name in os.listdir(fd) if matcher.fullmatch(name)]
        finally:
            os.close(fd)

    def is_directory(self, path: str) -> bool:
        """Return whether a path, with its links followed, is a directory."""
        fd = target.open_in_root(self.root, path)
        try:
            return stat.S_ISDIR(os.fstat(fd).st_mode)
        finally:
            os.close(fd)

    def visit(self, path: str, visitor: Visitor, excluded: Exclusions | None = None) -> None:
        """Visit a source and everything below it, without what is excluded.

        The files of a directory come before its subdirectories; both are sorted by name.

        `excluded` are the patterns of --exclude, relative to the source. Links are followed on the way to the
        source, and not below it. Raises InvalidArgument if a file cannot be opened.
        """
        try:
            fd = target.open_in_root(self.root, path)
        except OSError as error:
            raise not_found(path, error, self._where()) from None
        status = os.fstat(fd)
        if not stat.S_ISDIR(status.st_mode):
            try:
                visitor.add(Entry(-1, f"/proc/self/fd/{fd}", status), "")
            finally:
                os.close(fd)
            return
        try:
            directory = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        finally:
            os.close(fd)
        _Visit(self, path, visitor, excluded).run(directory)


class _Visit:
    """A visit of one source. A directory that is excluded is entered when something below it is included."""

    def __init__(self, tree: Tree, path: str, visitor: Visitor, excluded: Exclusions | None) -> None:
        self._visitor, self._path = visitor, f"{path}/" if path else ""
        self._filters: list[tuple[Exclusions, str]] = []
        self._matches: list[Matches] = []
        if tree.exclusions:
            self._filters.append((tree.exclusions, self._path))
            self._matches.append(self._matches_of(tree.exclusions, path))
        if excluded:
            self._filters.append((excluded, ""))
            self._matches.append(())
        self._below = ""
        self._is_excluded = bool(path) and tree.exclusions.excludes(path)
        """Whether the current directory is excluded: it is entered if something below it is included."""
        self._pending: list[tuple[str, os.stat_result, dict[str, bytes]]] = []
        """The directories that are not yet entered."""

    @staticmethod
    def _matches_of(exclusions: Exclusions, path: str) -> Matches:
        matches: Matches = ()
        names = path.split("/") if path else []
        for count in range(1, len(names) + 1):
            _, matches = exclusions.match("/".join(names[:count]), matches)
        return matches

    def run(self, top: int) -> None:
        """Visit everything. Closes `top`."""
        try:
            walk.visit(top, self._enter)
        except PermissionError as error:
            raise InvalidArgument(f"cannot read {error.filename}: {error.strerror}") from None

    def _enter(self, cursor: walk.Cursor) -> Iterator[str]:
        self._pending.append((self._below.rstrip("/"), os.fstat(cursor.fd), content.read_xattrs(cursor.fd)))
        if not self._is_excluded:
            self._enter_pending()
        waiting = len(self._pending)
        with os.scandir(cursor.fd) as found:
            names = sorted((item.is_dir(follow_symlinks=False), item.name) for item in found)
        files = [
            name for is_directory, name in names if not is_directory and not self._match(self._below + name)[0]
        ]
        if files:
            self._enter_pending()
            self._visitor.files(cursor.fd, self._below.rstrip("/"), files)
        for is_directory, name in names:
            if not is_directory:
                continue
            path = self._below + name
            excluded, matches = self._match(path)
            if excluded and not self._may_include_below(path):
                continue
            above = self._below, self._matches, self._is_excluded
            self._below, self._matches, self._is_excluded = f"{path}/", matches, excluded
            yield name
            self._below, self._matches, self._is_excluded = above
        if len(self._pending) == waiting and waiting:
            self._pending.pop()  # never entered: nothing below it is included
        else:
            self._visitor.leave()

    def _enter_pending(self) -> None:
        for directory in self._pending:
            self._visitor.enter(*directory)
        self._pending.clear()

    def _excludes(self, name: str) -> bool:
        return bool(self._filters) and self._match(self._below + name)[0]

    def _match(self, path: str) -> tuple[bool, list[Matches]]:
        """Return whether a path is excluded, and the matches of each filter."""
        excluded, matches = False, []
        for (patterns_, prefix), above in zip(self._filters, self._matches, strict=True):
            matched, found = patterns_.match(prefix + path, above)
            excluded = excluded or matched
            matches.append(found)
        return excluded, matches

    def _may_include_below(self, path: str) -> bool:
        return all(
            exclusions.may_include_below(prefix + path) or not exclusions.excludes(prefix + path)
            for exclusions, prefix in self._filters
        )
