"""Paths inside a root file system that is not trusted: resolved so that no link leads out of it.

A container may share a part of the root, a volume, and swap links in it at any moment. So a caller gets a
descriptor, and uses nothing else: what is made on the way is made, and opened, in the descriptor of the directory
above, never by its path again. Paths may be as long as the kernel takes them: nothing calls itself for each name.
"""

from __future__ import annotations

import errno
import os
import stat

from pyctr_lite import linux

_PLACE = linux.O_PATH | os.O_DIRECTORY
_MAX_LINKS = 40
"""How many links the kernel follows in one path (path_resolution(7)); so many that lead nowhere are made true."""


def open_in_root(root_fd: int, path: str, flags: int = linux.O_PATH) -> int:
    """Open a path with `root_fd` as `/`, links included (openat2(2), RESOLVE_IN_ROOT).

    /proc's magic links are refused with ELOOP: they lead anywhere.
    """
    resolve = linux.RESOLVE_IN_ROOT | linux.RESOLVE_NO_MAGICLINKS
    return linux.openat2(root_fd, path or ".", flags, 0, resolve)


def make_directory(root_fd: int, path: str, mode: int = 0o755) -> int:
    """A descriptor (O_PATH) of a directory in the root, made with its parents where it is missing.

    The deepest directory that exists is resolved inside the root; below it each name is made in, and opened from,
    the descriptor of the one above. A link that leads nowhere is made true, inside the root.
    Raises NotADirectoryError if the path leads through a file.
    """
    try:
        return open_in_root(root_fd, path, _PLACE)
    except FileNotFoundError:
        pass
    with linux.umask(0):  # a chmod afterwards could be led astray by a link that takes the name meanwhile
        for _ in range(_MAX_LINKS):
            fd, path = _make_below(root_fd, os.path.normpath("/" + path).split("/")[1:], mode)
            if fd >= 0:
                return fd
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def _make_below(root_fd: int, names: list[str], mode: int) -> tuple[int, str]:
    """Make the directories of a path: the last one's descriptor, or -1 and the path to try, if a link is in it."""
    known = len(names)
    while True:
        try:
            fd = open_in_root(root_fd, "/".join(names[:known]), _PLACE)
            break
        except FileNotFoundError:
            known -= 1
    try:
        for index in range(known, len(names)):
            try:
                os.mkdir(names[index], mode if index == len(names) - 1 else 0o755, dir_fd=fd)
            except FileExistsError:
                pass
            try:
                below = os.open(names[index], _PLACE | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            except NotADirectoryError:
                link = _link(fd, names[index])
                if not link:
                    raise
                os.close(fd)
                return -1, os.path.join("/".join(names[:index]), link, *names[index + 1 :])
            os.close(fd)
            fd = below
    except BaseException:
        os.close(fd)
        raise
    return fd, ""


def make_mountpoint(root_fd: int, path: str, *, directory: bool) -> int:
    """A descriptor of the place to mount on: a directory, or an empty file; made where it is missing.

    Fails with ENOTDIR or EISDIR where the other kind is there.
    """
    if directory:
        try:
            return make_directory(root_fd, path)
        except NotADirectoryError:
            text = "cannot mount a directory on a file, or below one"
            raise NotADirectoryError(errno.ENOTDIR, text, path) from None
    try:
        fd = open_in_root(root_fd, path)
    except FileNotFoundError:
        fd = _make_file(root_fd, path)
    if stat.S_ISDIR(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EISDIR, "cannot mount a file on a directory", path)
    return fd


def _make_file(root_fd: int, path: str) -> int:
    """A descriptor of an empty file that was just made; a link that leads nowhere is made true, in the root."""
    for _ in range(_MAX_LINKS):
        parent, name = os.path.split(os.path.normpath("/" + path))
        with linux.closing(make_directory(root_fd, parent)) as parent_fd, linux.umask(0):
            try:
                return os.open(name, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=parent_fd)
            except FileExistsError:
                link = _link(parent_fd, name)
                if not link:
                    return open_in_root(root_fd, f"{parent}/{name}")  # somebody made it meanwhile
                path = os.path.join(parent, link)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def _link(parent_fd: int, name: str) -> str:
    """Where a link points to that is known to dangle: it is made there, inside the root; "" for another file."""
    found = os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
    return os.readlink(name, dir_fd=parent_fd) if stat.S_ISLNK(found.st_mode) else ""


def read_text(root_fd: int, path: str, limit: int = 1 << 20) -> str:
    """The text of a regular file in the root, at most `limit` bytes; "" where there is none."""
    try:
        fd = open_in_root(root_fd, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return ""
    with linux.closing(fd):
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return ""
        return os.read(fd, limit).decode(errors="surrogateescape")
