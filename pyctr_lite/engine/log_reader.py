"""Reading a container's log: from the start or its last lines, and on as it grows."""

from __future__ import annotations

import os
import time

from pyctr_lite import jsonfile
from pyctr_lite.engine import watch
from pyctr_lite.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyctr_lite.engine.containers import Container

_BLOCK = 64 * 1024


class Entry:
    """One line of a log: its text with its end, "stdout" or "stderr", and its time in RFC 3339."""

    __slots__ = ("stream", "text", "time")

    def __init__(self, line: bytes) -> None:
        value = jsonfile.loads(line)
        self.text, self.stream, self.time = value["log"], value["stream"], value["time"]


class LogReader:
    """A place in a log. A line that is not whole yet is left for the next time. A context manager."""

    def __init__(self, path: str, *, tail: int | None = None) -> None:
        """Begin at the start, or with `tail` so many lines before the end. A log that is not there is empty."""
        self._partial = b""
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:  # it was never started
            self._fd = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        if tail is not None:
            os.lseek(self._fd, tail_position(self._fd, tail), os.SEEK_SET)

    def entries(self) -> Iterator[Entry]:
        """The entries from here to where the log ends now."""
        while chunk := os.read(self._fd, _BLOCK):
            *lines, self._partial = (self._partial + chunk).split(b"\n")
            for line in lines:
                try:
                    entry = Entry(line)
                except (ValueError, TypeError, KeyError):
                    continue  # the disk was full, or the power went, in the middle of it
                yield entry

    def close(self) -> None:
        """Read no more; again is fine."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> LogReader:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def tail_position(fd: int, count: int) -> int:
    """Where the last `count` lines of a file begin, in bytes; found from the end, however long the file is."""
    position = os.lseek(fd, 0, os.SEEK_END)
    while position > 0:
        start = max(0, position - _BLOCK)
        block = os.pread(fd, position - start, start)
        at = len(block)
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            if count == 0:
                return start + at + 1
            count -= 1
        position = start
    return 0


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
