"""Wait for files to change, with inotify(7) instead of polling.

The kernel limits root's instances and watches of inotify, and those in user namespaces that root has made
count, too. So any container can take all of them, and then a watch looks again now and then.
"""

from __future__ import annotations

import errno
import os
import select

from pyctr_lite.linux import inotify

_CHANGES = (
    inotify.IN_MODIFY | inotify.IN_CREATE | inotify.IN_MOVED_TO | inotify.IN_MOVE_SELF | inotify.IN_DELETE_SELF
)
_LOOK_AGAIN = 0.2
"""Seconds after which a wait without inotify ends as if something had changed."""


class Watch:
    """A watch on a directory: for files written, created or moved in it, and for its own move or removal.

    No change after the creation of the watch is missed: create it, read the files, wait, read them again.
    A context manager.
    """

    def __init__(self, directory: str) -> None:
        self._fd = -1
        try:
            self._fd = inotify.inotify_init1(inotify.IN_CLOEXEC | inotify.IN_NONBLOCK)
            inotify.inotify_add_watch(self._fd, directory, _CHANGES)
        except OSError as error:
            self.close()
            if error.errno not in (errno.EMFILE, errno.ENOSPC):
                raise

    def wait(self, seconds: float | None = None, *, pidfd: int = -1) -> bool:
        """Wait for a change or the end of a process. Return False if neither happened within `seconds`."""
        poller = select.poll()
        for fd in (self._fd, pidfd):
            if fd >= 0:
                poller.register(fd, select.POLLIN)
        looks_again = self._fd < 0 and (seconds is None or seconds > _LOOK_AGAIN)
        if looks_again:
            seconds = _LOOK_AGAIN
        ready = poller.poll(None if seconds is None else min(max(0, seconds * 1000), 2**31 - 1))
        if self._fd < 0:
            return bool(ready) or looks_again
        try:
            while os.read(self._fd, 65536):
                pass  # which file changed does not matter
        except BlockingIOError:
            pass
        return bool(ready)

    def close(self) -> None:
        """Stop watching. Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
