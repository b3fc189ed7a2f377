"""Locks by flock(2): one for each container, and one on all references from containers to images and volumes.

The second lock closes a race: `create` looks up an image and volumes, but its references are on disk only when the
record is written; `rmi` and `prune` read the records and remove objects without a reference. So `create` holds
References shared all that time, and a removal holds it exclusively. If a process is killed, the kernel releases
its locks.
"""

from __future__ import annotations

import fcntl
import os

from pyctr_lite.errors import NotFound


class Lock:
    """An exclusive lock on a file. A forked child shares it: it is held until both have released it."""

    def __init__(self, path: str) -> None:
        self.path, self.fd = path, -1

    def acquire(self) -> None:
        """Wait for the lock. Raises NotFound if its container has been removed."""
        while True:
            try:
                fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                id = os.path.basename(os.path.dirname(self.path))
                raise NotFound(f"No such container: {id[:12]}") from None
            fcntl.flock(fd, fcntl.LOCK_EX)
            # The file may have been removed, with its container, during the wait.
            try:
                if os.fstat(fd).st_ino == os.stat(self.path).st_ino:
                    self.fd = fd
                    return
            except FileNotFoundError:
                pass
            os.close(fd)

    def release(self) -> None:
        """Release the lock in this process. Idempotent."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    @staticmethod
    def is_held(path: str) -> bool:
        """Return whether a process holds the lock of a file or directory; False if the file is missing."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def __enter__(self) -> Lock:
        self.acquire()
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()


class References:
    """A lock on all references to the images and volumes of a state directory: on `<root>/containers`.

    Held exclusively by one process, or shared by many. A second hold in the same process has no effect.
    """

    _held: dict[str, int] = {}
    _serial = 0
    __slots__ = ("_directory", "_fd")

    def __init__(self, directory: str, *, shared: bool = False) -> None:
        """Wait for the lock on `directory`, that of the containers, which is created if it is missing."""
        self._directory, self._fd = directory, -1
        if directory in self._held:
            return
        try:
            self._fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            os.makedirs(directory, 0o711, exist_ok=True)
            self._fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self._fd, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        References._serial += 1
        self._held[directory] = References._serial

    def release(self) -> None:
        """End the hold. Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            del self._held[self._directory]

    @classmethod
    def serial(cls, directory: str) -> int:
        """Return the number of this process's hold, 0 without one. Records read in an earlier hold are stale."""
        return cls._held.get(directory, 0)

    def __enter__(self) -> References:
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()
