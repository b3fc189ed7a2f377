"""Paths inside an untrusted root file system, resolved so that no link leads out of it.

Another container may share a part of the root (a volume) and swap links in it at any moment. The caller therefore
gets a descriptor and uses only that; missing directories are created and opened relative to their parent's
descriptor, never by path again. There is no recursion: a path may be as long as the kernel accepts.
"""

from __future__ import annotations

import errno
import os
import stat

from pyctr_lite import linux

_PATH_ONLY = linux.O_PATH | os.O_DIRECTORY
_MAX_LINKS = 40
"""Max links in one path, as in the kernel (path_resolution(7)); here, dangling links whose targets are created."""


def open_in_root(root_fd: int, path: str, flags: int = linux.O_PATH) -> int:
    """Open a path with `root_fd` as `/`, also for the links in it (openat2(2), RESOLVE_IN_ROOT).

    The path "" is the root itself. `flags` are those of open(2), 0 is O_RDONLY; the descriptor is close-on-exec.
    The kernel resolves all of the path in one call: a link that another process makes meanwhile does not lead out.
    Fails with ELOOP for a magic link of /proc, because it could lead out of the root.
    """
    resolve = linux.RESOLVE_IN_ROOT | linux.RESOLVE_NO_MAGICLINKS
    return linux.openat2(root_fd, path or ".", flags, 0, resolve)


def exists(root_fd: int, path: str) -> bool:
    """Return whether a path leads to something inside the root."""
    try:
        os.close(open_in_root(root_fd, path))
    except OSError:
        return False
    return True


def follow(root_fd: int, path: str) -> str:
    """Return a path in the root with the links at its end followed, also if the last one is dangling."""
    for _ in range(_MAX_LINKS):
        parent, name = os.path.split(path)
        try:
            with linux.closing(open_in_root(root_fd, parent)) as parent_fd:
                link = os.readlink(name, dir_fd=parent_fd)
        except OSError:
            break  # the name is missing, or not a link
        path = os.path.join(parent, link.rstrip("/"))
    return path


def make_directory(root_fd: int, path: str, mode: int = 0o755) -> int:
    """Open a directory in the root (O_PATH), creating it and its parents if they are missing.

    The deepest existing directory is resolved inside the root; each name below is created and opened relative to
    its parent's descriptor. The target of a dangling link is created too, inside the root.
    Raises NotADirectoryError if the path leads through a file.
    """
    try:
        return open_in_root(root_fd, path, _PATH_ONLY)
    except FileNotFoundError:
        pass
    with linux.umask(0):  # chmod(2) afterwards could follow a link that has taken the name meanwhile
        for _ in range(_MAX_LINKS):
            fd, path = _make_below(root_fd, os.path.normpath("/" + path).split("/")[1:], mode)
            if fd >= 0:
                return fd
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def _make_below(root_fd: int, names: list[str], mode: int) -> tuple[int, str]:
    """Create the directories of a path; return the last one's descriptor, or -1 and a path to retry with."""
    known = len(names)
    while True:
        try:
            fd = open_in_root(root_fd, "/".join(names[:known]), _PATH_ONLY)
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
                below = os.open(names[index], _PATH_ONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
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
    """Open a mount point, creating a directory or an empty file if it is missing.

    Fails with ENOTDIR or EISDIR if the other kind of file exists there.
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
    """Create an empty file and open it. The target of a dangling link is created, inside the root."""
    for _ in range(_MAX_LINKS):
        parent, name = os.path.split(os.path.normpath("/" + path))
        with linux.closing(make_directory(root_fd, parent)) as parent_fd, linux.umask(0):
            try:
                return os.open(name, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=parent_fd)
            except FileExistsError:
                link = _link(parent_fd, name)
                if not link:
                    return open_in_root(root_fd, f"{parent}/{name}")  # another process made it meanwhile
                path = os.path.join(parent, link)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def _link(parent_fd: int, name: str) -> str:
    """Return the target of a dangling link, or "" if the name is another kind of file."""
    found = os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
    return os.readlink(name, dir_fd=parent_fd) if stat.S_ISLNK(found.st_mode) else ""


def read_text(root_fd: int, path: str, limit: int = 1 << 20) -> str:
    """Read at most `limit` bytes of a regular file in the root as text; return "" if there is no such file."""
    try:
        fd = open_in_root(root_fd, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return ""
    with linux.closing(fd):
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return ""
        return os.read(fd, limit).decode(errors="surrogateescape")
