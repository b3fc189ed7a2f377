"""Paths inside a root file system that is not trusted: resolved so that no link leads out of it."""

from __future__ import annotations

import errno
import os
import stat

from pyctr_lite import linux


def open_in_root(root_fd: int, path: str, flags: int = linux.O_PATH) -> int:
    """Open a path with `root_fd` as `/`, links included (openat2(2), RESOLVE_IN_ROOT).

    /proc's magic links are refused with ELOOP: they lead anywhere.
    """
    resolve = linux.RESOLVE_IN_ROOT | linux.RESOLVE_NO_MAGICLINKS
    return linux.openat2(root_fd, path or ".", flags, 0, resolve)


def make_directory(root_fd: int, path: str, mode: int = 0o755) -> int:
    """A descriptor (O_PATH) of a directory in the root, made with its parents where it is missing."""
    try:
        return open_in_root(root_fd, path, linux.O_PATH | os.O_DIRECTORY)
    except FileNotFoundError:
        pass
    parent, name = os.path.split(os.path.normpath("/" + path))
    parent_fd = make_directory(root_fd, parent)
    umask = os.umask(0)  # a chmod afterwards could be led astray by a link that takes the name meanwhile
    try:
        try:
            os.mkdir(name, mode, dir_fd=parent_fd)
        except FileExistsError:
            if link := _link(parent_fd, name):
                os.close(make_directory(root_fd, os.path.join(parent, link), mode))
        return open_in_root(root_fd, path, linux.O_PATH | os.O_DIRECTORY)
    finally:
        os.umask(umask)
        os.close(parent_fd)


def make_mountpoint(root_fd: int, path: str, *, directory: bool) -> int:
    """A descriptor (O_PATH) of the place to mount on: a directory, or an empty file; made where it is missing.

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
    parent, name = os.path.split(os.path.normpath("/" + path))
    parent_fd = make_directory(root_fd, parent)
    umask = os.umask(0)
    try:
        try:
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=parent_fd))
        except FileExistsError:
            if link := _link(parent_fd, name):
                return make_mountpoint(root_fd, os.path.join(parent, link), directory=False)
        return open_in_root(root_fd, path)
    finally:
        os.umask(umask)
        os.close(parent_fd)


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
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return ""
        return os.read(fd, limit).decode(errors="surrogateescape")
    finally:
        os.close(fd)
