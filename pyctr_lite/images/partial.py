"""Partial downloads of blobs: they survive their process, so that the next pull continues them.

`<root>/partial/<digest>` has the bytes so far of the blob with that digest, and is locked (flock(2)) by the
process that writes it. A complete blob is renamed into the store. Only pulls read the directory, of mode 0700.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import time
from typing import TYPE_CHECKING

from pyctr_lite import linux
from pyctr_lite.images import blob

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctr_lite.images.store import ImageStore

_POLL = 0.1
"""Seconds between two looks at a lock: a thread that waits in flock(2) could not be interrupted."""


class Partial:
    """A locked partial download, a context manager. `size` is the number of its bytes.

    If the store has the blob already, `is_stored` is true and the file is the store's.
    """

    def __init__(self, store: ImageStore, digest: str, wait: Callable[[float], None]) -> None:
        """Lock the download of a blob. While another process holds it, `wait` is called with seconds to wait."""
        self.digest, self._stored_path = digest, store.blob_path(digest)
        self.path = f"{store.root}/partial/{digest.replace(':', '-')}"
        os.makedirs(f"{store.root}/partial", 0o700, exist_ok=True)
        self.fd = -1
        self.is_stored = False
        while self.fd < 0:
            if not self._open_stored():
                self._open_partial(wait)
        self.size = os.fstat(self.fd).st_size
        self._hash = hashlib.sha256()
        self._hashed = 0

    def _open_stored(self) -> bool:
        try:
            self.fd = os.open(self._stored_path, os.O_RDONLY | os.O_CLOEXEC)
            os.utime(self.fd)  # a prune beside this pull removes unreferenced blobs, but not new ones
        except FileNotFoundError:
            return False
        self.is_stored = True
        return True

    def _open_partial(self, wait: Callable[[float], None]) -> None:
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.stat(self.path).st_ino == os.fstat(fd).st_ino:
                self.fd = fd
                return
        except FileNotFoundError:
            pass  # it was completed, or removed, before it was locked
        except BlockingIOError:
            try:
                wait(_POLL)
            except BaseException:
                os.close(fd)
                raise
        os.close(fd)

    def write(self, data: bytes) -> None:
        """Append bytes. Fails with ENOSPC."""
        rest = memoryview(data)
        while rest:
            written = os.pwrite(self.fd, rest, self.size)
            self.size += written
            rest = rest[written:]

    def restart(self) -> None:
        """Discard all bytes."""
        os.ftruncate(self.fd, 0)
        self.size, self._hashed, self._hash = 0, 0, hashlib.sha256()

    def catch_up(self) -> None:
        """Hash the bytes that have been written, or were there before."""
        while data := os.pread(self.fd, blob.CHUNK, self._hashed):
            self._hash.update(data)
            self._hashed += len(data)

    def found(self) -> str:
        """Return the digest of all bytes."""
        self.catch_up()
        return f"sha256:{self._hash.hexdigest()}"

    def install(self) -> None:
        """Move the file, whose digest the caller has checked, into the store."""
        os.makedirs(os.path.dirname(self._stored_path), 0o700, exist_ok=True)
        os.utime(self.fd)
        os.rename(self.path, self._stored_path)
        self.is_stored = True

    def remove(self) -> None:
        """Remove the file."""
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            pass

    def __enter__(self) -> Partial:
        return self

    def __exit__(self, *exception: object) -> None:
        if not self.size and not self.is_stored:
            self.remove()
        os.close(self.fd)


def usage(root: str) -> int:
    """Return the bytes of all partial downloads."""
    return sum(os.stat(path).st_size for path in _paths(root))


def prune(root: str, age: float) -> int:
    """Remove the partial downloads that no process continues and whose last byte is `age` seconds old.

    Returns the freed bytes.
    """
    freed = 0
    for path in _paths(root):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        with linux.closing(fd):
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno != errno.EWOULDBLOCK:
                    raise
                continue  # a pull is running
            status = os.fstat(fd)
            if time.time() - status.st_mtime > age:
                os.unlink(path)
                freed += status.st_size
    return freed


def _paths(root: str) -> list[str]:
    directory = f"{root}/partial"
    return [f"{directory}/{name}" for name in os.listdir(directory)] if os.path.isdir(directory) else []
