"""Partial downloads of blobs: they survive their process, so that the next pull continues them.

`<root>/partial/<digest>` has the bytes so far of the blob with that digest. The process that writes it holds an
exclusive lock (flock(2)); those that read it when it is complete and checked share one, until they have added
their images. A file without a lock is a leftover. Only pulls read the directory, of mode 0700.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os

from pyctr_lite import linux
from pyctr_lite.digest import sha256_of_blob
from pyctr_lite.images import blob

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from pyctr_lite.images.store import ImageStore

    class Body(Protocol):
        """The body of a registry's answer."""

        def read1(self, size: int, /) -> bytes:
            """Return at most `size` bytes, as soon as there are some; none at the end."""


CHUNK = 1 << 18
"""Bytes that are read of a body at once."""
_POLL = 0.1
"""Seconds between two looks at a lock: a thread that waits in flock(2) could not be interrupted."""


class Partial:
    """A download of a blob, to be closed. `size` is the number of its bytes.

    `is_complete` is true when all bytes are here and their digest was checked. If the store has the blob already,
    `is_stored` is true, too, and the file is the store's. `hash` has the first `hashed` bytes of the file.
    """

    def __init__(self, store: ImageStore, digest: str, wait: Callable[[float], None]) -> None:
        """Lock the download of a blob. While another process holds it, `wait` is called with seconds to wait."""
        self.digest, self._stored_path = digest, store.blob_path(digest)
        self.path = f"{store.root}/partial/{digest.replace(':', '-')}"
        os.makedirs(f"{store.root}/partial", 0o700, exist_ok=True)
        self.fd, self.size = -1, 0
        self.is_complete = self.is_stored = False
        while self.fd < 0:
            self.hash, self.hashed = sha256_of_blob(), 0
            if not self._open_stored():
                self._open_partial(wait)
        self.size = os.fstat(self.fd).st_size

    def _open_stored(self) -> bool:
        try:
            self.fd = os.open(self._stored_path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        self.is_complete = self.is_stored = True
        return True

    def _open_partial(self, wait: Callable[[float], None]) -> None:
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if self._lock(fd):
                self.fd = fd
                return
            wait(_POLL)
        finally:
            if self.fd != fd:
                os.close(fd)

    def _lock(self, fd: int) -> bool:
        """Lock the file for writing; for reading if another pull has completed it. Returns whether that worked."""
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            try:
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            self.is_complete = _is(fd, self.path) and self._digest_of(fd) == self.digest
            return self.is_complete
        return _is(fd, self.path)

    def write(self, data: bytes) -> None:
        """Append bytes. Fails with ENOSPC."""
        rest = memoryview(data)
        while rest:
            written = os.pwrite(self.fd, rest, self.size)
            self.size += written
            rest = rest[written:]

    def receive(self, body: Body, size: int, report: Callable[[int], None]) -> None:
        """Append what a body brings to the file, and share the file when it is the whole blob.

        The blob has `size` bytes. `body.read1(CHUNK)` returns at most CHUNK bytes, and none at the end. Each byte
        of the file is hashed once: those that are there at the beginning, and then each piece as it comes.
        `report` is called after each piece with the number of bytes that can be used: all in the file, but at most
        `size` - 1 until the digest has been checked, and `size` when the file is shared.
        A body that ends early, or fails, is no fault of the file: it keeps what has come, for another request.
        Raises BrokenArchive ("blob DIGEST failed verification: …, not …": `blob.lie` returns it), and removes the
        file, if a piece goes beyond `size`, which is then not written, or if the whole has another digest than
        `self.digest`; then the message has that digest, too.
        Source: OCI image-spec, descriptor.md; distribution-spec, "Pulling blobs".
        """
        self.catch_up()
        while data := body.read1(CHUNK):
            if self.size + len(data) > size:
                self.remove()
                raise blob.lie(f"blob {self.digest}", f"it has more than {size} bytes", size)
            self.write(data)
            self.catch_up()
            report(min(self.size, size - 1))
        if self.size < size:
            return
        if (found := f"sha256:{self.hash.hexdigest()}") != self.digest:
            self.remove()
            raise blob.lie(f"blob {self.digest}", f"its bytes have the digest {found}", self.digest)
        self.share()
        report(size)

    def catch_up(self) -> None:
        """Hash the bytes of the file that are not hashed yet."""
        self._digest_of(self.fd)

    def _digest_of(self, fd: int) -> str:
        while data := os.pread(fd, blob.CHUNK, self.hashed):
            self.hash.update(data)
            self.hashed += len(data)
        return f"sha256:{self.hash.hexdigest()}"

    def share(self) -> None:
        """Let other pulls read the file, whose digest the caller has checked."""
        self.is_complete = True
        fcntl.flock(self.fd, fcntl.LOCK_SH)

    def link(self, path: str) -> None:
        """Give the file another name (link(2)), in a directory of the same file system.

        Raises FileNotFoundError if the file was removed meanwhile.
        """
        os.link(self._stored_path if self.is_stored else self.path, path)
        if not _is(self.fd, path):
            raise FileNotFoundError(errno.ENOENT, "replaced meanwhile", self.path)

    def remove(self) -> None:
        """Remove the file's name."""
        if not self.is_stored and _is(self.fd, self.path):
            os.unlink(self.path)

    def close(self) -> None:
        """Close the file, and remove it if it is empty, or in the store now."""
        if not self.size or os.path.exists(self._stored_path):
            self.remove()
        os.close(self.fd)


def _is(fd: int, path: str) -> bool:
    """Return whether an open file has a name: it may have been removed before it was locked."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(fd))
    except FileNotFoundError:
        return False


def usage(root: str) -> int:
    """Return the bytes of all downloads whose images are not added yet."""
    found = 0
    for path in _paths(root):
        try:
            found += _bytes(os.stat(path))
        except FileNotFoundError:
            pass  # its image was added just now
    return found


def sweep(store: ImageStore) -> None:
    """Remove the names of downloads that are in the store: their pulls were killed just after they had ended."""
    for path in _paths(store.root):
        if os.path.exists(f"{store.layout}/blobs/{os.path.basename(path).replace('-', '/')}"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def prune(root: str) -> int:
    """Remove the downloads of pulls that have ended, or were killed. Returns the freed bytes."""
    freed = 0
    for path in _paths(root):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        with linux.closing(fd):
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                size = _bytes(os.fstat(fd))
                os.unlink(path)
                freed += size
            except FileNotFoundError:
                pass
            except OSError as error:
                if error.errno != errno.EWOULDBLOCK:
                    raise  # else a pull is running
    return freed


def _bytes(status: os.stat_result) -> int:
    """Return the bytes of a file, 0 if it has another name: then it is in the store, or about to be."""
    return status.st_size if status.st_nlink == 1 else 0


def _paths(root: str) -> list[str]:
    directory = f"{root}/partial"
    return [f"{directory}/{name}" for name in os.listdir(directory)] if os.path.isdir(directory) else []
