"""ADD of a URL: downloaded to a file, and checked.

As in BuildKit, the ETag of a file is remembered. If the server says to a HEAD that it still has that file, and the
layer of the step is in the cache, nothing is downloaded. With --checksum, the server is not even asked.
"""

from __future__ import annotations

import email.utils
import os
import posixpath
from urllib.parse import unquote, urlsplit

from pyctr_lite import jsonfile, linux
from pyctr_lite.build.patterns import Exclusions
from pyctr_lite.build.tree import Tree
from pyctr_lite.digest import sha256
from pyctr_lite.errors import InvalidArgument, PyctrError
from pyctr_lite.registries import addresses, authorization, transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from pyctr_lite.build.tree import Visitor
    from pyctr_lite.images.staging import Staging

_CHUNK = 1 << 20
_FILE = "0"
"""The name of a file in its directory."""


class Download:
    """The file at a URL. `name` is the name that it gets, `key` what the key of its step has of it."""

    def __init__(self, root: str, url: str, checksum: str) -> None:
        """`root` is the state directory. Raises InvalidArgument for a URL without a host."""
        self._checksum = checksum
        self._memory = f"{root}/build/downloads/{sha256(url.encode('utf-8', 'surrogateescape')).hexdigest()}.json"
        self._url, user = addresses.split_user(url)
        pair = [unquote(text) for text in user.partition(":")[::2]]
        self._headers = {"Authorization": authorization.basic(*pair)} if user else {}
        _check(self._url)
        self._shown = addresses.bare(self._url)
        self._path = ""
        self.name = posixpath.basename(unquote(urlsplit(url).path)) or "__unnamed__"
        self.key: list[Any] = [self.name, checksum, 0]

    def find(self) -> bool:
        """Complete the key if the file is known without a download, and return whether it is."""
        if self._checksum:
            return True
        try:
            etag, digest, time = jsonfile.read(self._memory)
            answer = self._request("HEAD", {"If-None-Match": etag})
        except (FileNotFoundError, ValueError, TypeError, PyctrError):
            return False
        found = _etag(answer) or (etag if answer.status == 304 else "")
        self.key = [self.name, digest, time]
        return answer.status in (200, 304) and found == etag

    def fetch(self, staging: Staging) -> None:
        """Download the file, and complete the key.

        Raises PyctrError if that fails, InvalidArgument if the file is not what the checksum says.
        """
        self._path = staging.new_path()
        os.mkdir(self._path, 0o700)
        import hashlib

        hasher = hashlib.new(self._checksum.partition(":")[0] or "sha256")
        answer = self._request("GET", {})
        with open(f"{self._path}/{_FILE}", "xb") as file:
            for data in self._content(answer):
                hasher.update(data)
                file.write(data)
            os.fchmod(file.fileno(), 0o600)
        time = _time(answer.headers.get("Last-Modified") or "")
        os.utime(f"{self._path}/{_FILE}", (time, time))
        digest = f"{hasher.name}:{hasher.hexdigest()}"
        if self._checksum and digest != self._checksum:
            raise InvalidArgument(f"digest mismatch {digest}: {self._checksum}", f"of {self._shown}")
        if not self._checksum:
            self.key = [self.name, digest, time]
            if etag := _etag(answer):
                os.makedirs(os.path.dirname(self._memory), 0o700, exist_ok=True)
                jsonfile.write(self._memory, [etag, digest, time], 0o600)

    def _request(self, method: str, headers: dict[str, str]) -> transport.Response:
        connections = transport.Transport()
        try:
            answer = connections.request(method, self._url, {**self._headers, **headers}, patient=method == "GET")
        except transport.TransportError as error:
            raise PyctrError(error.message) from None
        if method == "HEAD":
            connections.close(answer)
        elif not 200 <= answer.status < 300 or answer.status == 206:  # not asked for a part of the file
            connections.close(answer)
            raise PyctrError(f"failed to load {self._shown}: invalid response status {answer.status}")
        return answer

    def _content(self, answer: transport.Response) -> Iterator[bytes]:
        """Yield the bytes of a file. A Content-Encoding of gzip is undone, as in BuildKit, which asks for it."""
        compressed = answer.headers.get("Content-Encoding") == "gzip"
        while True:
            try:
                data = answer.read(_CHUNK, decode_content=compressed)
            except transport.INTERRUPTIONS as error:
                raise PyctrError(f"failed to load {self._shown}: the answer was cut: {error}") from None
            if not data:
                return
            yield data

    def visit(self, visitor: Visitor) -> None:
        """Visit the downloaded file."""
        with linux.closing(os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as root:
            Tree(root, Exclusions(()), keeps_owners=False).visit(_FILE, visitor)


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        if parts.hostname and parts.port != 0:
            return
    except ValueError:
        pass
    raise InvalidArgument(f"invalid URL of a file: {url}", "http://HOST/PATH")


def _etag(answer: transport.Response) -> str:
    return (answer.headers.get("ETag") or "").removeprefix("W/")


def _time(modified: str) -> int:
    """Return a Last-Modified in seconds since 1970, 0 if it is missing, malformed or earlier."""
    try:
        return max(0, round(email.utils.parsedate_to_datetime(modified).timestamp()))
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0
