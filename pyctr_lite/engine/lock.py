"""One lock a container: whoever changes how it is holds it (flock(2))."""

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
