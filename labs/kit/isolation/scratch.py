"""Directories of our own for what the kit makes on the side, and files that are written where a learner's are.

Everybody may plant links and directories in /tmp. So all that the kit makes there lies inside a directory that
only root can enter, made by `directory` under a name that nobody can guess: no other module of the kit makes a
temporary file (tests/security/test_kit.py holds them to it). `leftovers` are told by owner and mode, not by name
alone. `write` replaces a file in one step and never writes through a link.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

PREFIX = "pyctr_lite-"
KINDS = ("labs", "notebooks", "trace", "grade", "jupyter", "work")


@contextlib.contextmanager
def directory(kind: str) -> Iterator[Path]:
    """Make a directory of mode 0700, and remove it with all that is in it at the end."""
    assert kind in KINDS
    path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{kind}-"))
    in_use = _lock(path)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(in_use)


def leftovers() -> Iterator[Path]:
    """The directories of killed runs; each is locked until the next is asked for, so that nobody else removes it.

    What somebody else made under such a name is not ours, nor is a link, nor what a run is using.
    """
    top = Path(tempfile.gettempdir())
    for path in sorted(top.iterdir()):
        if path.name.startswith(tuple(f"{PREFIX}{kind}-" for kind in KINDS)):
            with contextlib.suppress(FileNotFoundError, BlockingIOError):  # it has ended just now, or runs
                if _is_ours(path.lstat()):
                    lock = _lock(path)
                    try:
                        yield path
                    finally:
                        os.close(lock)


def _lock(path: Path) -> int:
    """Lock a directory as long as the descriptor is open. Raises BlockingIOError if somebody else has done so."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _is_ours(status: os.stat_result) -> bool:
    """A check may have opened its directory for a user namespace (0711): nobody but us may write in it."""
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022


def write(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace a file in one step: one that is cut off leaves the old file or the new one.

    A link in its place is replaced, not followed. The directory is made if it is missing, and may not be a link.
    Raises OSError, and leaves the file as it is.
    """
    path.parent.mkdir(exist_ok=True)
    parent = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    new = f".{path.name}.{secrets.token_hex(4)}.new"
    try:
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=parent)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
            os.replace(new, path.name, src_dir_fd=parent, dst_dir_fd=parent)
        except BaseException:
            os.unlink(new, dir_fd=parent)
            raise
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise
    finally:
        os.close(parent)
