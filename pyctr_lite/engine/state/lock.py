"""Locks by flock(2): one for each container, and one between making containers and removing what they refer to.

The second closes the gap between check and act: `create` looks up an image and volumes, and refers to them
only when the record is on disk; `rmi` and `prune` read the records, and remove what none refers to. Who makes a
container holds References shared for all of that, who removes holds them alone. A process that is killed lets go.
"""

from __future__ import annotations

import fcntl
import os

from pyctr_lite.errors import NotFound


class Lock:
    """An exclusive lock on a file. A forked child shares it: it is held until both have let it go."""

    def __init__(self, path: str) -> None:
        self.path, self.fd = path, -1

    def acquire(self) -> None:
        """Wait for the lock. Fails with NotFound where its container has gone."""
        while True:
            try:
                fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                id = os.path.basename(os.path.dirname(self.path))
                raise NotFound(f"No such container: {id[:12]}") from None
            fcntl.flock(fd, fcntl.LOCK_EX)
            # The file may have been removed, with its container, while we waited.
            try:
                if os.fstat(fd).st_ino == os.stat(self.path).st_ino:
                    self.fd = fd
                    return
            except FileNotFoundError:
                pass
            os.close(fd)

    def release(self) -> None:
        """Let this process's hold go; again is fine."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    @staticmethod
    def is_held(path: str) -> bool:
        """Whether a process that lives holds the lock of this file or directory; not where there is none."""
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
    """A hold on all that refers to the images and volumes of a state directory, on `<root>/containers`.

    One process at a time has it alone, or any number shared. Within a hold of its own process another is nothing.
    """

    _held: dict[str, int] = {}
    _serial = 0
    __slots__ = ("_directory", "_fd")

    def __init__(self, directory: str, *, shared: bool = False) -> None:
        """Wait for the hold; `directory` is that of the containers, and is made if it is missing."""
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
        """The number of this process's hold, 0 if it has none. What was read in one may be wrong in the next."""
        return cls._held.get(directory, 0)

    def __enter__(self) -> References:
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()
