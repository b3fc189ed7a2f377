"""ADD of a URL: downloaded to a file, and checked."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pyctr_lite import linux
from pyctr_lite.build.patterns import Exclusions
from pyctr_lite.build.tree import Tree
from pyctr_lite.errors import InvalidArgument, PyctrError

if TYPE_CHECKING:
    from pyctr_lite.images.staging import Staging

_TIMEOUT = 60
"""Seconds without a byte."""
_CHUNK = 1 << 20
FILE = "0"
"""The name of the file in its directory."""


class Download:
    """A downloaded file: its directory, the name that it gets, its digest, and its time (Last-Modified, or 0)."""

    def __init__(self, path: str, name: str, digest: str, time: int) -> None:
        self.path, self.name, self.digest, self.time = path, name, digest, time


def fetch(url: str, checksum: str, staging: Staging) -> Download:
    """Download a URL. Raises PyctrError if that fails, InvalidArgument if it is not what `checksum` says."""
    import email.utils
    import hashlib
    import urllib.error
    import urllib.parse
    import urllib.request

    directory = staging.new_path()
    os.mkdir(directory, 0o700)
    hasher = hashlib.new(checksum.partition(":")[0] or "sha256")
    time = 0
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer, open(f"{directory}/{FILE}", "xb") as file:
            while data := answer.read(_CHUNK):
                hasher.update(data)
                file.write(data)
            os.fchmod(file.fileno(), 0o600)
            modified = answer.headers.get("Last-Modified") or ""
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise PyctrError(f"failed to load {url}: {reason}") from None
    try:
        time = max(0, round(email.utils.parsedate_to_datetime(modified).timestamp())) if modified else 0
    except ValueError:
        pass
    os.utime(f"{directory}/{FILE}", (time, time))
    digest = f"{hasher.name}:{hasher.hexdigest()}"
    if checksum and digest != checksum:
        raise InvalidArgument(f"digest mismatch {digest}: {checksum}", f"of {url}")
    name = posixpath.basename(urllib.parse.unquote(urllib.parse.urlsplit(url).path)) or "__unnamed__"
    return Download(directory, name, digest, time)


@contextmanager
def tree(path: str) -> Iterator[Tree]:
    """Open the directory of a download."""
    with linux.closing(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as root:
        yield Tree(root, Exclusions(()), keeps_owners=False)
