"""Waiting for files to change: by the kernel's notices, not by looking again and again."""

from __future__ import annotations

import os
import select

from pyctr_lite.linux import inotify

_CHANGES = (
    inotify.IN_MODIFY | inotify.IN_CREATE | inotify.IN_MOVED_TO | inotify.IN_MOVE_SELF | inotify.IN_DELETE_SELF
)


class Watch:
    """Notices of a directory: a file in it is written to, made or moved there, or it is itself moved or removed.

    What changes after it is made is never missed: make it, look, wait, look again. A context manager.
    """

    def __init__(self, directory: str) -> None:
        self._fd = inotify.inotify_init1(inotify.IN_CLOEXEC | inotify.IN_NONBLOCK)
        try:
            inotify.inotify_add_watch(self._fd, directory, _CHANGES)
        except OSError:
            self.close()
            raise

    def wait(self, seconds: float | None = None, *, pidfd: int = -1) -> bool:
        """Wait for a change, or the end of a process: False where neither came within so many seconds."""
        poller = select.poll()
        poller.register(self._fd, select.POLLIN)
        if pidfd >= 0:
            poller.register(pidfd, select.POLLIN)
        ready = poller.poll(None if seconds is None else min(max(0, seconds * 1000), 2**31 - 1))
        try:
            while os.read(self._fd, 65536):
                pass  # which file it was does not matter
        except BlockingIOError:
            pass
        return bool(ready)

    def close(self) -> None:
        """Watch no more; again is fine."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
