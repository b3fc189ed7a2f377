"""The upload of one blob: in chunks, so that after a cut it goes on where the registry says it was.

Source: OCI distribution-spec, "Pushing blobs".
"""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from pyctr_lite.errors import BrokenArchive
from pyctr_lite.formats import number
from pyctr_lite.images import blob
from pyctr_lite.images import reference as references
from pyctr_lite.registries import addresses, answers, transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyctr_lite.registries.download import Report
    from pyctr_lite.registries.repository import Repository

CHUNK = 16 << 20
"""Bytes of a request: what is sent again, at most, after a cut."""
_MAX_FAILURES = 5
_NO_CHUNKS = (400, 404, 405, 411, 413, 415, 501)
"""Refusals of a chunk by registries that take a blob only whole."""


class Upload:
    """A blob of `size` bytes in the file `path`, to be pushed to a repository."""

    def __init__(self, target: Repository, path: str, digest: str, size: int, name: str, report: Report) -> None:
        self.digest, self.size, self.name = digest, size, name
        self._target, self._path, self._report = target, path, report
        self._location = ""

    def find(self, sources: Sequence[str]) -> str:
        """Return "exists", or the repository from which the registry took the blob; "" if it has to be sent.

        `sources` are repositories of the same registry that may have it.
        """
        if self._exists():
            return "exists"
        return next((source for source in sources if self._mount(source)), "")

    def _exists(self) -> bool:
        url = self._target.url(f"blobs/{self.digest}")
        response = self._target.request("HEAD", url, expected=(200, 404))
        self._target.transport.close(response)
        return response.status == 200

    def _mount(self, source: str) -> bool:
        """Ask the registry to take the blob from another repository. If it does not, an upload has begun."""
        url = self._target.url("blobs/uploads/")
        query = f"?mount={self.digest}&from={source}"
        try:
            response = self._target.request("POST", url + query, expected=(201, 202))
        except answers.RegistryError:
            return False  # there is no right to read that repository
        self._target.transport.close(response)
        if response.status == 202:
            self._keep_location(response, url)
        return response.status == 201

    def _start(self) -> None:
        """Begin an upload, unless a request to mount the blob has."""
        if self._location:
            return
        url = self._target.url("blobs/uploads/")
        response = self._target.request("POST", url, expected=(202,))
        self._target.transport.close(response)
        self._keep_location(response, url)

    def _restart(self) -> None:
        self._location = ""
        self._start()

    def _keep_location(self, response: transport.Response, url: str) -> None:
        location = response.headers.get("Location")
        if location:
            self._location = transport.join(url, location)
        elif not self._location:
            raise transport.TransportError(f"{addresses.shown('POST', url)}: the answer has no Location")

    def send(self) -> None:
        """Send the blob, after `find`. Raises RegistryError, BrokenArchive."""
        self._start()
        failures, offset = 0, 0
        with blob.open_blob(self._path, self.digest) as file:
            if os.fstat(file.fileno()).st_size != self.size:
                raise BrokenArchive(f"blob {self.digest} has not {self.size} bytes", "pyctr_lite image verify")
            while offset < self.size:
                try:
                    offset = self._send_chunk(file.fileno(), offset)
                    failures = 0
                except answers.RegistryError as error:
                    if error.status == 416:
                        offset = self._where()
                    elif offset == 0 and error.status in _NO_CHUNKS:
                        self._restart()
                        self._finish(_Body(self, file.fileno(), 0, self.size))
                        return
                    elif error.status < 500 or failures == _MAX_FAILURES:
                        raise
                    failures += 1
                except transport.TransportError:
                    failures += 1
                    if failures == _MAX_FAILURES:
                        raise
                    self._target.transport.wait(transport.backoff(failures))
                    offset = self._where()
        self._finish(None)

    def _send_chunk(self, fd: int, offset: int) -> int:
        """Send the bytes from an offset on. Returns the offset of the next chunk."""
        size = min(CHUNK, self.size - offset)
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(size),
            "Content-Range": f"{offset}-{offset + size - 1}",
        }
        body = _Body(self, fd, offset, size)
        response = self._target.request("PATCH", self._location, headers, body, expected=(202,), patient=False)
        self._target.transport.close(response)
        self._keep_location(response, self._location)
        return _next(response) or offset + size

    def _where(self) -> int:
        """Ask how many bytes the registry has; if it does not know the upload any more, begin again."""
        try:
            response = self._target.request("GET", self._location, expected=(204,))
        except answers.RegistryError:
            self._restart()
            return 0
        self._target.transport.close(response)
        self._keep_location(response, self._location)
        return min(_next(response), self.size)

    def _finish(self, body: _Body | None) -> None:
        glue = "&" if urlsplit(self._location).query else "?"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(body.size if body else 0)}
        url = f"{self._location}{glue}digest={self.digest}"
        try:
            response = self._target.request("PUT", url, headers, body, expected=(201,), patient=body is None)
        except answers.RegistryError as error:
            if error.status == 404 and self._exists():
                return  # it was complete already, and only the answer was lost
            raise
        self._target.transport.close(response)
        found = response.headers.get("Docker-Content-Digest") or self.digest
        if references.is_digest(found) and found != self.digest:
            raise BrokenArchive(f"blob {self.digest}: the registry has {found}", "pyctr_lite image verify")

    def report(self, done: int) -> None:
        """Report the bytes that were sent."""
        self._report(self.name, "Pushing", min(done, self.size), self.size)


class _Body:
    """A part of a file as the body of a request."""

    def __init__(self, upload: Upload, fd: int, start: int, size: int) -> None:
        self._upload, self._fd, self._start, self.size = upload, fd, start, size
        self._done = 0

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes."""
        rest = self.size - self._done
        data = os.pread(self._fd, min(size if size >= 0 else rest, rest), self._start + self._done)
        self._done += len(data)
        self._upload.report(self._start + self._done)
        return data

    def rewind(self) -> None:
        """Begin again."""
        self._done = 0


def _next(response: transport.Response) -> int:
    """Return the offset after the last byte that the registry has; "0-0" is said of none, too."""
    found = re.fullmatch(r"(?:bytes=)?0-([0-9]+)", response.headers.get("Range") or "")
    if not found or not number.is_whole(found[1]) or found[1] == "0":
        return 0
    return number.whole(found[1]) + 1
