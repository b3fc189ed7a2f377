"""One repository of a registry: requests with authorization, and the reading half of the protocol.

Source: OCI distribution-spec, spec.md. Everything is checked against its digest by whoever asks for it.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from pyctr_lite import digest as digests
from pyctr_lite import jsonfile
from pyctr_lite.errors import BrokenArchive
from pyctr_lite.formats import number
from pyctr_lite.images import documents, shape
from pyctr_lite.images import reference as references
from pyctr_lite.registries import answers, credentials, endpoint, transport
from pyctr_lite.registries.authorization import Authorization, NoCredentials

if TYPE_CHECKING:
    from collections.abc import Collection

    from pyctr_lite.images.reference import Reference

ACCEPT = ", ".join(documents.MANIFESTS)
_MAX_TAGS = 100_000
_NEXT = re.compile(r'<([^>]+)>\s*;[^,]*rel="?next')


class Repository:
    """The repository of a reference, for one transfer. `actions` are the rights to ask for: pull, push."""

    def __init__(self, reference: Reference, actions: str = "pull", *, insecure: bool = False) -> None:
        self.reference = reference
        self.endpoint = endpoint.Endpoint(reference.domain, insecure=insecure)
        self.transport = transport.Transport(self.endpoint.host if self.endpoint.insecure else "")
        self.authorization = Authorization(
            self.transport,
            lambda: self.base,
            partial(credentials.find, self.endpoint.key),
            [f"repository:{reference.path}:{actions}"],
        )

    @property
    def base(self) -> str:
        """The registry's address, without the path."""
        return self.endpoint.base(self.transport)

    def url(self, path: str) -> str:
        """Return the address of a path of the repository, such as "manifests/latest"."""
        return f"{self.base}/v2/{self.reference.path}/{path}"

    def request(
        self,
        method: str,
        url: str,
        headers: dict[str, str] | None = None,
        body: Any = None,
        *,
        expected: Collection[int] = (200,),
        patient: bool = True,
    ) -> transport.Response:
        """Send a request with authorization; return an answer whose status is expected, to be closed.

        `body` with a method `rewind` is rewound before it is sent a second time, after a challenge.
        Raises RegistryError for another status, NoCredentials, TransportError.
        """
        while True:
            ours = transport.origin(url) == transport.origin(self.base)
            used = self.authorization.header() if ours else ""
            sent = dict(headers or {})
            if used:
                sent["Authorization"] = used
            response = self.transport.request(method, url, sent, body, patient=patient)
            if response.status in expected:
                return response
            try:
                error = answers.refusal(response, transport.shown(method, url))
            finally:
                self.transport.close(response)
            try:
                retry = response.status == 401 and ours and self.authorization.answer(response, used)
            except NoCredentials as missing:
                raise NoCredentials(f"{transport.shown(method, url)}: {missing.message}", missing.hint) from None
            if not retry or used.startswith("Basic"):
                raise error
            if used and self._refused == used:
                raise error  # a new token is refused, too
            self._refused = self.authorization.header()
            if hasattr(body, "rewind"):
                body.rewind()

    _refused = ""

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
        response = self.request("GET", self.url(f"manifests/{name}"), {"Accept": ACCEPT})
        wanted = name
        if not references.is_digest(name):
            wanted = response.headers.get("Docker-Content-Digest") or ""
            wanted = wanted if wanted.startswith("sha256:") else ""
        return self._document(response, f"manifest {name}", wanted, size)

    def blob(self, descriptor: dict[str, Any], what: str) -> bytes:
        """Return the bytes of a small blob, such as a config. Raises BrokenArchive for other bytes."""
        digest = descriptor["digest"]
        response = self.request("GET", self.url(f"blobs/{digest}"))
        return self._document(response, f"{what} {digest}", digest, descriptor["size"])

    def _document(self, response: transport.Response, name: str, digest: str, size: int | None) -> bytes:
        limit = shape.MAX_SIZE if size is None else min(size, shape.MAX_SIZE)
        try:
            content = bytearray()
            while len(content) <= limit and (data := response.read(limit + 1 - len(content))):
                content += data
        except transport.INTERRUPTIONS as error:
            raise transport.TransportError(f"{name}: {error}") from None
        finally:
            self.transport.close(response)
        if len(content) > limit or (size is not None and len(content) != size):
            found = f"more than {limit}" if len(content) > limit else str(len(content))
            raise lie(name, f"it has {found} bytes", limit if size is None else size)
        found = f"sha256:{digests.sha256(content).hexdigest()}"
        if digest and found != digest:
            raise lie(name, f"its bytes have the digest {found}", digest)
        return bytes(content)

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
            content = self._document(response, "the list of tags", "", None)
            try:
                value = jsonfile.loads(content.decode(errors="replace"))
            except ValueError:
                value = {}
            names = value.get("tags") if isinstance(value, dict) else None
            found += [tag for tag in names or [] if isinstance(tag, str) and references.is_tag(tag)]
            url = urljoin(url, following[1]) if following and names else None
        return found


def lie(name: str, found: str, wanted: object) -> BrokenArchive:
    """Return the error for bytes of a registry that are not the promised ones."""
    return BrokenArchive(
        f"{name} failed verification: {found}, not {wanted}", "the registry, or something before it, changed it"
    )
