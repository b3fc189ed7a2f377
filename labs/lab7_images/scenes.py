"""What is done with the functions of lab 7 where a plain call is not enough. It runs in the learner's process.

A scene arranges, calls and returns what it saw. It knows nothing of what is right: the checks judge that.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from typing import Any

from labs.kit.subject import report as reporting
from pyctr_lite import linux
from pyctr_lite.build.tree import Entry
from pyctr_lite.engine.build import copier
from pyctr_lite.images import partial
from pyctr_lite.images.store import ImageStore

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class _Body:
    """The body of an answer: its pieces in turn, and then an error or the end. It records what it sees."""

    def __init__(self, pieces: list[bytes], error: BaseException | None, file: partial.Partial) -> None:
        self.pieces, self.error, self.file = list(pieces), error, file
        self.sizes: list[Any] = []
        self.seen: list[list[int]] = []
        """At each call: the bytes that are in the file, and those of them that are hashed."""

    def read1(self, size: int, /) -> bytes:
        self.sizes.append(size)
        self.seen.append([os.fstat(self.file.fd).st_size, self.file.hashed])
        if self.pieces:
            return self.pieces.pop(0)
        if self.error is not None:
            raise self.error
        return b""


class _Failing:
    """A function whose `nth` call fails, as on a full disk."""

    def __init__(self, function: Callable[..., Any], nth: int, failed: list[int]) -> None:
        self.function, self.left, self.failed = function, nth, failed

    def __call__(self, *args: Any) -> Any:
        self.left -= 1
        if not self.left:
            self.failed.append(1)
            raise OSError(errno.ENOSPC, "no space left")
        return self.function(*args)


def received(
    function: Callable[..., Any],
    root: str,
    digest: str,
    size: int,
    bodies: list[tuple[list[bytes], Any]],
    failing: str = "",
    nth: int = 1,
) -> list[dict[str, Any]]:
    """Receive bodies into one partial download, a call for each, until one raises: what came of each.

    A body is a list of pieces, and an error that comes after them, or None. The `nth` call of `failing`, a method
    of the file or "report", fails as on a full disk.
    """
    found: list[dict[str, Any]] = []
    file = partial.Partial(ImageStore(root), digest, lambda seconds: None)
    with contextlib.closing(file):
        failed: list[int] = []
        if failing and failing != "report":
            setattr(file, failing, _Failing(getattr(file, failing), nth, failed))
        for pieces, error in bodies:
            body, reports, in_file = _Body(pieces, error, file), [], []

            def report(done: Any, reports: list[Any] = reports, in_file: list[int] = in_file) -> None:
                reports.append([done, file.is_complete])
                in_file.append(os.fstat(file.fd).st_size)

            call: dict[str, Any] = {"reports": reports, "in_file": in_file, "sizes": body.sizes, "seen": body.seen}
            call["raised"] = None
            found.append(call)
            try:
                call["value"] = function(
                    file, body, size, _Failing(report, nth, failed) if failing == "report" else report
                )
            except Exception as raised:
                call["raised"] = reporting.describe(raised)
            call |= {
                "failed": bool(failed),
                "left": len(body.pieces),
                "shared": file.is_complete,
                "written": os.fstat(file.fd).st_size,
            }
            if call["raised"]:
                break
    return found


class _Copier(copier.Copier):
    """A Copier that records what its attributes are set to, and the mode of the copy before that."""

    def __init__(self, fd: int, path: str) -> None:
        super().__init__(fd, path, "", None, None)
        self.calls: list[dict[str, Any]] = []
        self.fails: BaseException | None = None

    def __exit__(self, *exception: object) -> None:
        left = os.umask(0)
        if left:  # a Copier works without one, and whoever sets it has left it
            self._umask = left
        super().__exit__(*exception)

    def set_attributes(self, fd: int, status: os.stat_result, xattrs: dict[str, bytes]) -> None:
        before = os.fstat(fd)
        self.calls.append(
            {"mode": before.st_mode, "size": before.st_size, "inode": status.st_ino, "xattrs": xattrs}
        )
        if self.fails:
            raise self.fails
        super().set_attributes(fd, status, xattrs)


def copied(
    function: Callable[..., Any],
    source: str,
    directory: str,
    names: list[tuple[str, str]],
    path: str = "/app",
    fails: BaseException | None = None,
    cwd: str = "/",
) -> list[dict[str, Any]]:
    """Copy files, each (name there, name here), into another directory: what the attributes were set to."""
    os.chdir(cwd)
    try:
        with (
            linux.closing(os.open(source, _DIRECTORY)) as top,
            _Copier(os.open(directory, _DIRECTORY), path) as into,
        ):
            into.fails = fails
            for name, new in names:
                status = os.stat(name, dir_fd=top, follow_symlinks=False)
                function(into, Entry(top, name, status), new)
            return into.calls
    finally:
        os.chdir("/")


def copied_from_a_link(function: Callable[..., Any], source: str, directory: str, name: str) -> None:
    """Copy a file that was found through a link: its entry is a path below /proc."""
    with (
        linux.closing(os.open(source, os.O_PATH | os.O_CLOEXEC)) as found,
        _Copier(os.open(directory, _DIRECTORY), "/") as into,
    ):
        function(into, Entry(-1, f"/proc/self/fd/{found}", os.fstat(found)), name)
