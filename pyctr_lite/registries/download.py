"""The download of one blob, by a thread of its own, into a file that others can read while it grows."""

from __future__ import annotations

import contextlib
import io
import os
import threading

from pyctr_lite.errors import BrokenArchive, PyctrError
from pyctr_lite.images import blob, partial
from pyctr_lite.registries import answers, transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from pyctr_lite.images.staging import Staging
    from pyctr_lite.registries.repository import Repository

    Report = Callable[[str, str, int, int], None]
    """Called with the short name of a blob, what happens to it, and the bytes done and in all (0: not counted)."""

_PROGRESS = 1 << 16
"""Bytes that an attempt must bring, or it counts as a failure."""
_MAX_FAILURES = 5


class Download:
    """The blob of a descriptor: `run` downloads it, `open` reads it meanwhile, `path` has it complete.

    A descriptor's size is a limit: the download ends at the first byte beyond it.
    """

    def __init__(self, stage: Staging, source: Repository, descriptor: dict[str, Any], report: Report) -> None:
        self.digest: str = descriptor["digest"]
        self.size: int = descriptor["size"]
        self.name = self.digest[7:19]
        self._stage, self._source, self._report = stage, source, report
        self._path = ""
        self.existed = False
        """Whether the store had the blob."""
        self._changed = threading.Condition()
        self._partial: partial.Partial | None = None
        self._verified = 0
        """Bytes that a reader may have: the written ones, but the last one only after the digest was checked."""
        self.error: BaseException | None = None

    def run(self) -> None:
        """Download the blob, or find it in the store. An error is raised in the readers, not here."""
        try:
            self._partial = self._open()
            self.existed = self._partial.is_stored
            if not self._partial.is_complete:
                self._download(self._partial)
            if self._partial.size != self.size:
                raise BrokenArchive(
                    f"blob {self.digest} of the image store has {self._partial.size} bytes, not {self.size}",
                    "pyctr_lite image verify --repair gets it again",
                )
            self._report(self.name, "Already exists" if self.existed else "Download complete", 0, 0)
            self._advance(self.size)
        except BaseException as error:
            self._source.transport.cancel()  # the other downloads are useless now; what they have is kept
            with self._changed:
                self.error = error
                self._changed.notify_all()

    def _open(self) -> partial.Partial:
        while True:
            found = partial.Partial(self._stage.store, self.digest, self._source.transport.wait)
            if found.is_complete or found.size <= self.size:
                return found
            found.remove()  # its bytes are another blob's
            found.close()

    @property
    def has_failed(self) -> bool:
        """Whether the download failed by itself, and not because another one did."""
        return self.error is not None and not isinstance(self.error, transport.Cancelled)

    @property
    def path(self) -> str:
        """The complete blob in the staging directory. Waits for it, and raises the error of the download."""
        if not self._path:
            self.read_at(self.size, 1)
            assert self._partial is not None
            self._path = self._stage.new_path()
            self._partial.link(self._path)
        return self._path

    def discard(self) -> None:
        """Remove the file, which nobody is going to need again."""
        if self._partial is not None:
            self._partial.remove()

    def close(self) -> None:
        """Close the file, after `run` and all readers have ended."""
        if self._partial is not None:
            self._partial.close()

    def _download(self, into: partial.Partial) -> None:
        if into.size == self.size:  # another pull was killed before it could check them
            into.receive(io.BytesIO(), self.size, self._received)
        self._fetch_rest(into)

    def _fetch_rest(self, into: partial.Partial) -> None:
        failures, start = 0, into.size
        while into.size < self.size:
            before = into.size
            try:
                self._fetch(into)
            except transport.TransportError as error:
                if not failures and before == start:
                    raise  # nothing has come yet
                problem = error.message
            except OSError as error:
                if error.errno is not None and not isinstance(error, ConnectionError | TimeoutError):
                    into.remove()  # of our own disk: it is full, most likely
                    raise
                problem = f"{error}"
            except transport.INTERRUPTIONS as error:
                problem = f"{error}"
            else:
                problem = "it ended early"
            self._source.transport.check()
            if into.size < self.size:
                failures = failures + 1 if into.size - before < _PROGRESS else 0
                if failures == _MAX_FAILURES:
                    raise transport.TransportError(
                        f"blob {self.digest}: interrupted after {into.size} of {self.size} bytes: {problem}",
                        "pull again: it goes on from here",
                    )
                self._source.transport.wait(transport.backoff(failures) if failures else 0)

    def _fetch(self, into: partial.Partial) -> None:
        response, start = self._ask(into.size)
        # Bytes that a reader may have seen are never replaced: those of an answer that begins anew are skipped.
        skip = into.size - start
        try:
            if skip < 0:
                raise blob.lie(f"blob {self.digest}", f"the answer begins at byte {start}", into.size)
            while skip and (data := response.read1(min(partial.CHUNK, skip))):
                skip -= len(data)
            into.receive(response, self.size, self._received)
        finally:
            self._source.transport.close(response)

    def _ask(self, start: int) -> tuple[transport.Response, int]:
        try:
            return self._source.open_blob(self.digest, start)
        except answers.RegistryError as error:
            if error.status == 416 and start:  # this registry has no parts of blobs
                return self._ask(0)
            error.message = f"blob {self.digest}: {error.message}"
            raise

    def _received(self, size: int) -> None:
        """Let readers have the first `size` bytes, and report what happens to the blob."""
        self._advance(size)
        assert self._partial is not None
        if size < self.size:
            self._report(self.name, "Downloading", self._partial.size, self.size)
            if self._partial.size == self.size:
                self._report(self.name, "Verifying Checksum", 0, 0)

    def _advance(self, size: int) -> None:
        with self._changed:
            self._verified = max(size, self._verified)
            self._changed.notify_all()

    @contextlib.contextmanager
    def open(self) -> Iterator[_Reader]:
        """Open the blob for reading from its start; a read waits for bytes that have not come yet.

        If the reader finds the bytes damaged, the download is ended first: their digest says whose fault it is.
        """
        try:
            yield _Reader(self)
        except PyctrError:
            self.read_at(self.size, 1)
            raise

    def read_at(self, offset: int, size: int) -> bytes:
        """Return bytes at an offset, at least one unless the blob ends there. Raises the error of the download."""
        with self._changed:
            self._changed.wait_for(lambda: self.error or self._verified > min(offset, self.size - 1))
            if self.error:
                raise self.error
            available = self._verified - offset
        assert self._partial is not None
        if offset and available > 0 and self._verified == self.size:
            self._report(self.name, "Extracting", offset, self.size)
        return os.pread(self._partial.fd, min(size, available), offset) if available > 0 else b""


class _Reader:
    """A stream of a blob that is being downloaded."""

    def __init__(self, download: Download) -> None:
        self._download, self._offset = download, 0
        self._ahead = memoryview(b"")  # gzip asks for 8 KiB at a time

    def read(self, size: int = -1, /) -> bytes:
        """Return at most `size` bytes, by default a chunk; no bytes at the end."""
        if not self._ahead:
            self._ahead = memoryview(self._download.read_at(self._offset, partial.CHUNK))
            self._offset += len(self._ahead)
        size = size if size >= 0 else partial.CHUNK
        data, self._ahead = bytes(self._ahead[:size]), self._ahead[size:]
        return data
