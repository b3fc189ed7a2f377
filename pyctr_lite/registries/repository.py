"""One repository of a registry: the reading half of the protocol (OCI distribution-spec, spec.md)."""

from __future__ import annotations

import re

from pyctr_lite import digest as digests
from pyctr_lite import jsonfile
from pyctr_lite.formats import number
from pyctr_lite.images import blob as blobs
from pyctr_lite.images import documents, shape
from pyctr_lite.images import reference as references
from pyctr_lite.registries import addresses, transport
from pyctr_lite.registries.session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.images.reference import Reference

ACCEPT = ", ".join(documents.MANIFESTS)
_MAX_TAGS = 100_000
_NEXT = re.compile(r'<([^<>]++)>\s*+;[^,<]*rel="?next')


class Repository(Session):
    """The repository of a reference, for one transfer. `actions` are the rights to ask for: pull, push."""

    def __init__(self, reference: Reference, actions: str = "pull", *, insecure: bool = False) -> None:
        super().__init__(reference.domain, [f"repository:{reference.path}:{actions}"], insecure=insecure)
        self.reference = reference

    def url(self, path: str) -> str:
        """Return the address of a path of the repository, such as "manifests/latest"."""
        return f"{self.base}/v2/{self.reference.path}/{path}"

    def head(self, name: str) -> str:
        """Return the digest of a manifest by its tag, "" if the registry does not say. It is only a hint."""
        response = self.request("HEAD", self.url(f"manifests/{name}"), {"Accept": ACCEPT})
        self.transport.close(response)
        found = response.headers.get("Docker-Content-Digest") or ""
        return found if references.is_digest(found) else ""

    def manifest(self, name: str, size: int | None = None) -> bytes:
        """Return the bytes of a manifest or index, by its tag or its digest, which is checked.

        `size` is the number of bytes that a descriptor promises. Raises BrokenArchive for other bytes.
        """
        wanted = name if references.is_digest(name) else None
        return self._document(f"manifests/{name}", f"manifest {name}", wanted, size)

    def blob(self, descriptor: dict[str, Any], what: str) -> bytes:
        """Return the bytes of a small blob, such as a config. Raises BrokenArchive for other bytes."""
        digest = descriptor["digest"]
        return self._document(f"blobs/{digest}", f"{what} {digest}", digest, descriptor["size"])

    def _document(self, path: str, name: str, digest: str | None, size: int | None) -> bytes:
        """Return the bytes at a path, checked by digest (None: the one that the registry says) and size."""
        limit = shape.MAX_SIZE if size is None else min(size, shape.MAX_SIZE)
        content, said = self._read(self.url(path), limit)
        digest = said if digest is None else digest
        if len(content) > limit or (size is not None and len(content) != size):
            found = f"more than {limit}" if len(content) > limit else str(len(content))
            raise blobs.lie(name, f"it has {found} bytes", limit if size is None else size)
        found = f"sha256:{digests.sha256(content).hexdigest()}"
        if digest and found != digest:
            raise blobs.lie(name, f"its bytes have the digest {found}", digest)
        return bytes(content)

    def _read(self, url: str, limit: int) -> tuple[bytes, str]:
        """Return the bytes at an address, at most one more than `limit`, and their digest by the registry."""
        for attempt in range(1, transport.ATTEMPTS + 1):
            response = self.request("GET", url, {"Accept": ACCEPT})
            try:
                content = bytearray()
                while len(content) <= limit and (data := response.read(limit + 1 - len(content))):
                    content += data
            except transport.INTERRUPTIONS as error:
                self.transport.check()
                if attempt == transport.ATTEMPTS:
                    raise transport.TransportError(f"{addresses.shown('GET', url)}: {error}") from None
                self.transport.wait(transport.backoff(attempt))
            else:
                said = response.headers.get("Docker-Content-Digest") or ""
                return bytes(content), said if said.startswith("sha256:") else ""
            finally:
                self.transport.close(response)
        raise AssertionError

    def open_blob(self, digest: str, start: int) -> tuple[transport.Response, int]:
        """Ask for a blob from a byte on. Returns the answer and the offset of its first byte."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        expected = (200, 206) if start else (200,)
        response = self.request("GET", self.url(f"blobs/{digest}"), headers, expected=expected)
        if response.status == 200:
            return response, 0
        given = re.match(r"bytes ([0-9]+)-", response.headers.get("Content-Range") or "")
        return response, number.whole(given[1]) if given and number.is_whole(given[1]) else start

    def tags(self) -> list[str]:
        """Return all tags of the repository."""
        found: list[str] = []
        url: str | None = self.url("tags/list?n=1000")
        while url and len(found) < _MAX_TAGS:
            response = self.request("GET", url)
            following = _NEXT.search(response.headers.get("Link") or "")
            try:
                value = jsonfile.loads(self.transport.read_all(response, shape.MAX_SIZE).decode(errors="replace"))
            except ValueError:
                value = {}
            names = value.get("tags") if isinstance(value, dict) else None
            found += [tag for tag in names or [] if isinstance(tag, str) and references.is_tag(tag)]
            url = transport.join(url, following[1]) if following and names else None
        return found
