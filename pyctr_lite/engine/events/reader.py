"""Read the event log: history, live, or both."""

from __future__ import annotations

import os
import time

from pyctr_lite import jsonfile
from pyctr_lite.engine.events import watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from pyctr_lite.engine.state.paths import Paths


def read(paths: Paths) -> Iterator[dict[str, Any]]:
    """Yield the events in the log, the oldest first."""
    with EventReader(f"{paths.run}/events.jsonl", history=True) as reader:
        yield from reader.events()


def follow(paths: Paths, *, history: bool, until: int | None = None) -> Iterator[dict[str, Any]]:
    """Yield new events as they are written; with `history`, yield those in the log first.

    End at the time `until` (nanoseconds since 1970). No event that was written before that time is missed.
    """
    os.makedirs(paths.run, 0o711, exist_ok=True)
    with (
        watch.Watch(paths.run) as changes,
        EventReader(f"{paths.run}/events.jsonl", history=history) as reader,
    ):
        while True:
            seconds = None if until is None else (until - time.time_ns()) / 10**9
            yield from reader.events()
            if seconds is not None and seconds <= 0:
                return
            changes.wait(seconds)


class EventReader:
    """A position in the event log, which continues in the new file after a rotation. A context manager."""

    def __init__(self, path: str, *, history: bool) -> None:
        self._path, self._partial = path, b""
        self._fds = [fd for fd in (_open(f"{path}.1"), _open(path)) if fd >= 0]
        if not history:
            for fd in self._fds:
                os.lseek(fd, 0, os.SEEK_END)

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield the events from the position to the end of the log."""
        while True:
            for fd in self._fds:
                while chunk := os.read(fd, 65536):
                    *lines, self._partial = (self._partial + chunk).split(b"\n")
                    for line in lines:
                        try:
                            event = jsonfile.loads(line)
                        except ValueError:
                            continue  # the line is incomplete: the disk was full
                        yield event
            latest = _open(self._path)
            if latest < 0:
                return
            if self._fds and os.path.sameopenfile(latest, self._fds[-1]):
                os.close(latest)
                return
            self._fds = [*self._fds, latest]  # read the old file again: it may have grown before the rename
            for fd in self._fds[:-2]:
                os.close(fd)
            del self._fds[:-2]

    def close(self) -> None:
        """Close the files. Idempotent."""
        while self._fds:
            os.close(self._fds.pop())

    def __enter__(self) -> EventReader:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return -1
