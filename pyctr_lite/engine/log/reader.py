"""Reading a container's log: from the start or its last lines, and on as it grows."""

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
    """One line of a log: its text with its end, "stdout" or "stderr", its time in RFC 3339, and attributes."""

    __slots__ = ("attributes", "stream", "text", "time")

    def __init__(self, line: bytes) -> None:
        value = jsonfile.loads(line)
        self.text, self.stream, self.time = value["log"], value["stream"], value["time"]
        self.attributes: dict[str, str] = value.get("attrs") or {}


class LogReader:
    """A place in a log, across its files. A line that is not whole yet is left for the next time.

    A context manager.
    """

    def __init__(self, path: str, *, tail: int | None = None) -> None:
        """Begin at the start, or with `tail` so many lines before the end. A log that is not there is empty."""
        self._path, self._partial = path, b""
        self._fds = _open_files(path, since=-1)
        """The files from here on, the oldest first. Open, they can be read when the writer has removed them."""
        if tail is not None:
            missing = tail
            for index in reversed(range(len(self._fds))):
                position, missing = tail_position(self._fds[index], missing)
                os.lseek(self._fds[index], position, os.SEEK_SET)
                if not missing:
                    self._close_before(index)
                    break

    def entries(self) -> Iterator[Entry]:
        """The entries from here to where the log ends now."""
        while self._fds or self._take_newer():
            while chunk := os.read(self._fds[0], _BLOCK):
                *lines, self._partial = (self._partial + chunk).split(b"\n")
                for line in lines:
                    try:
                        entry = Entry(line)
                    except (ValueError, TypeError, KeyError):
                        continue  # the disk was full, or the power went, in the middle of it
                    yield entry
            if len(self._fds) > 1:
                self._close_before(1)
                self._partial = b""
            elif not self._take_newer():
                return
            # With newer files the writer has left this one: what it wrote to it since is read before.

    def close(self) -> None:
        """Read no more; again is fine."""
        self._close_before(len(self._fds))

    def _take_newer(self) -> bool:
        """Open what has been begun since the last file that is open."""
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
    """Descriptors of a log's files, the oldest first; only those newer than the file of `since` (-1: all)."""
    found: list[int] = []
    seen = [os.fstat(since)] if since >= 0 else []
    number = 0
    while True:
        try:
            fd = os.open(f"{path}.{number}" if number else path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            if number:  # the first is missing for a moment while the writer begins a new one
                break
        else:
            status = os.fstat(fd)
            if since >= 0 and os.path.samestat(status, seen[0]):
                os.close(fd)
                break
            if any(os.path.samestat(status, other) for other in seen):  # it was renamed meanwhile
                os.close(fd)
            else:
                found.insert(0, fd)
                seen.append(status)
        number += 1
    return found


def tail_position(fd: int, count: int) -> tuple[int, int]:
    """Where the last `count` lines of a file begin, in bytes, and how many are missing because it is shorter.

    Found from the end, however long the file is.
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
    """The entries of a log, oldest first; with `tail` only the last so many. A torn last line is left out."""
    with LogReader(path, tail=tail) as reader:
        yield from reader.entries()


def follow(container: Container, *, tail: int | None = None, until: int | None = None) -> Iterator[Entry | None]:
    """The entries of a container's log, and those that come while it runs; None where there are no more yet.

    Ends when the container has ended, or at a time `until` (nanoseconds since 1970).
    """
    path = f"{container.directory}/log.jsonl"
    with watch.Watch(container.directory) as changes, LogReader(path, tail=tail) as reader:
        while True:
            running = _running(container)  # first this: the log is closed before the end is recorded
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
    """Whoever's end we must not miss: the monitor's, which records the container's; killed, the container's."""
    for pid in (container.state.MonitorPid, container.state.Pid):
        try:
            return os.pidfd_open(pid)
        except OSError:
            continue  # it has ended
    return -1
