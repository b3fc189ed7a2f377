"""Read a container's log: all of it or its last lines, and then new lines as they are written."""

from __future__ import annotations

import os
import time

from pyctr_lite import jsonfile
from pyctr_lite.engine.events import watch
from pyctr_lite.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyctr_lite.engine.container.container import Container

_BLOCK = 64 * 1024


class Entry:
    """One line of a log: text with line end, "stdout" or "stderr", time in RFC 3339, and attributes."""

    __slots__ = ("attributes", "stream", "text", "time")

    def __init__(self, line: bytes) -> None:
        value = jsonfile.loads(line)
        self.text, self.stream, self.time = value["log"], value["stream"], value["time"]
        self.attributes: dict[str, str] = value.get("attrs") or {}


class LogReader:
    """A position in a log, across its files. An incomplete last line is read once it is complete.

    A context manager.
    """

    def __init__(self, path: str, *, tail: int | None = None) -> None:
        """Begin at the start, or `tail` lines before the end. A missing log counts as empty."""
        self._path, self._partial = path, b""
        self._fds = _open_files(path, since=-1)
        """The files still to read, oldest first: open, so they stay readable after the writer removes them."""
        if tail is not None:
            missing = tail
            for index in reversed(range(len(self._fds))):
                position, missing = tail_position(self._fds[index], missing)
                os.lseek(self._fds[index], position, os.SEEK_SET)
                if not missing:
                    self._close_before(index)
                    break

    def entries(self) -> Iterator[Entry]:
        """Yield the entries from this position to the present end of the log."""
        while self._fds or self._open_newer():
            while chunk := os.read(self._fds[0], _BLOCK):
                *lines, self._partial = (self._partial + chunk).split(b"\n")
                for line in lines:
                    try:
                        entry = Entry(line)
                    except (ValueError, TypeError, KeyError):
                        continue  # torn: the disk was full, or the power failed, during the write
                    yield entry
            if len(self._fds) > 1:
                self._close_before(1)
                self._partial = b""
            elif not self._open_newer():
                return
            # If there is a newer file, read this one once more: the writer may have added its last lines since.

    def close(self) -> None:
        """Close the files. Idempotent."""
        self._close_before(len(self._fds))

    def _open_newer(self) -> bool:
        """Open the files that are newer than the last open file; return whether there are any."""
        newer = _open_files(self._path, since=self._fds[-1] if self._fds else -1)
        self._fds += newer
        return bool(newer)

    def _close_before(self, index: int) -> None:
        for fd in self._fds[:index]:
            os.close(fd)
        del self._fds[:index]

    def __enter__(self) -> LogReader:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _open_files(path: str, since: int) -> list[int]:
    """Open a log's files, oldest first; only those newer than the file open as `since` (-1: all)."""
    fds: list[int] = []
    seen = [os.fstat(since)] if since >= 0 else []
    number = 0
    while True:
        try:
            fd = os.open(f"{path}.{number}" if number else path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            if number:  # number 0 is missing for a moment while the writer rotates the files
                break
        else:
            status = os.fstat(fd)
            if since >= 0 and os.path.samestat(status, seen[0]):
                os.close(fd)
                break
            if any(os.path.samestat(status, other) for other in seen):  # it was renamed in the meantime
                os.close(fd)
            else:
                fds.insert(0, fd)
                seen.append(status)
        number += 1
    return fds


def tail_position(fd: int, count: int) -> tuple[int, int]:
    """Return the offset of the last `count` lines of a file, and how many of them the file does not have.

    Reads backwards from the end, so the time does not depend on the length of the file.
    """
    position = os.lseek(fd, 0, os.SEEK_END)
    while position > 0:
        start = max(0, position - _BLOCK)
        block = os.pread(fd, position - start, start)
        at = len(block)
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            if count == 0:
                return start + at + 1, 0
            count -= 1
        position = start
    return 0, count


def read(path: str, *, tail: int | None = None) -> Iterator[Entry]:
    """Yield the entries of a log, oldest first; with `tail`, only the last ones. A torn last line is omitted."""
    with LogReader(path, tail=tail) as reader:
        yield from reader.entries()


def follow(container: Container, *, tail: int | None = None, until: int | None = None) -> Iterator[Entry | None]:
    """Yield the entries of a container's log, then new ones as they are written; None before each wait.

    Ends when the container has ended, or at the time `until` (nanoseconds since 1970).
    """
    path = f"{container.directory}/log.jsonl"
    with watch.Watch(container.directory) as changes, LogReader(path, tail=tail) as reader:
        while True:
            running = _running(container)  # before the read: the log is closed before the end is recorded
            yield from reader.entries()
            seconds = None if until is None else (until - time.time_ns()) / 10**9
            if not running or (seconds is not None and seconds <= 0):
                return
            yield None
            pidfd = _open_pidfd(container)
            try:
                changes.wait(seconds, pidfd=pidfd)
            finally:
                if pidfd >= 0:
                    os.close(pidfd)


def _running(container: Container) -> bool:
    try:
        return container.refresh().running
    except NotFound:
        return False


def _open_pidfd(container: Container) -> int:
    """Return a pidfd of the monitor, which records the end; if it was killed, of the container; else -1."""
    for pid in (container.state.MonitorPid, container.state.Pid):
        try:
            return os.pidfd_open(pid)
        except OSError:
            continue  # that process has ended
    return -1
