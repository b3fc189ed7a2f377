"""The cache of builds: for each step a key, and the layers that the step made.

A key is the digest of everything that the step's result depends on: the chain id of the layers below, the words
after the variables are put in, the environment of a RUN, the content of the files that are copied. Times of files,
secrets and the content of cache mounts do not count. The record of a key is a file whose name is the key, with
the time of its last use as its mtime.
"""

from __future__ import annotations

import os
import time

from pyctr_lite import jsonfile
from pyctr_lite.digest import sha256
from pyctr_lite.engine.build import session
from pyctr_lite.engine.state.lock import Lock
from pyctr_lite.images import roots

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from pyctr_lite.engine.home import Home
    from pyctr_lite.images.image import Layer


def key(*parts: Any) -> str:
    """Return the key of a step from the parts that its result depends on (values that JSON can show)."""
    return sha256(jsonfile.dumps(list(parts)).encode("utf-8", "surrogateescape")).hexdigest()


class Record:
    """A cached step: its layers, bottom first, when it ran (RFC 3339), its title, and the bytes that it added."""

    def __init__(self, layers: list[Layer], created: str, title: str, size: int, path: str) -> None:
        self.layers, self.created, self.title, self.size, self.path = layers, created, title, size, path
        self.used = os.stat(path).st_mtime
        """When it was used last, in seconds."""


class Cache:
    """The cache of a state directory."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.directory = roots.cache_directory(home.paths.root)

    def find(self, key: str) -> Record | None:
        """Return the record of a key, and note that it is used; None if the store lacks one of its layers."""
        path = f"{self.directory}/{key}.json"
        record = self._read(path)
        if record is None or not all(
            os.path.exists(self.home.images.blob_path(layer.digest)) for layer in record.layers
        ):
            return None
        try:
            os.utime(path)
        except FileNotFoundError:
            return None  # pruned meanwhile
        return record

    def write(self, key: str, layers: list[Layer], created: str, title: str, size: int) -> None:
        """Write the record of a key. `size` is that of the layer that the step made, in bytes."""
        os.makedirs(self.directory, 0o700, exist_ok=True)
        roots.write(f"{self.directory}/{key}.json", layers, created=created, title=title, size=size)

    def records(self) -> list[Record]:
        """Return all records, the one that was used last first."""
        try:
            names = os.listdir(self.directory)
        except FileNotFoundError:
            return []
        found = [self._read(f"{self.directory}/{name}") for name in names if name.endswith(".json")]
        return sorted(filter(None, found), key=lambda record: record.used, reverse=True)

    def _read(self, path: str) -> Record | None:
        found = roots.read(path)
        if found is None:
            return None
        layers, members = found
        try:
            size = members.get("size")
            return Record(
                layers,
                str(members.get("created") or ""),
                str(members.get("title") or ""),
                size if isinstance(size, int) else 0,
                path,
            )
        except FileNotFoundError:
            return None

    def image_blobs(self) -> set[str]:
        """Return the digests of the layers that images have."""
        return {layer.digest for image in self.home.images.list() for layer in image.layers}

    def remove(self, records: Iterable[Record]) -> list[Record]:
        """Remove records that no running build uses, and return them."""
        began = self.oldest_build()
        removed = [record for record in records if record.used < began]
        for record in removed:
            try:
                os.unlink(record.path)
            except FileNotFoundError:
                pass
        return removed

    def oldest_build(self) -> float:
        """Return when the oldest running build began (every record that it uses is used later), or now."""
        top = roots.running_directory(self.home.paths.root)
        names = os.listdir(top) if os.path.isdir(top) else []
        began = [time.time()]
        for name in names:
            if Lock.is_held(f"{top}/{name}"):
                try:
                    began.append(os.stat(f"{top}/{name}/{session.BEGAN}").st_mtime)
                except FileNotFoundError:
                    pass  # it has just ended, or just begun and uses nothing yet
        return min(began)
