"""The files of an image archive, read in one pass: each file is staged as a blob with its digest.

So an archive can come through a pipe, in any order, compressed or not, and no name in it is used as a path on
disk. Memory is bounded by limits on the number of files and on the length of their names.
"""

from __future__ import annotations

from pyctr_lite.errors import BrokenArchive
from pyctr_lite.images import blob, compression, shape
from pyctr_lite.rootfs import layer as layers
from pyctr_lite.rootfs import tar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.images.staging import Staging

_MAX_LINKS = 8
_MAX_FILES = 1 << 16
_MAX_NAME = 4096


class Contents:
    """The files and links of an archive, by cleaned name."""

    def __init__(self, stream: tar.Readable, stage: Staging) -> None:
        """Read a whole archive. Raises BrokenArchive if it is damaged."""
        self._files: dict[bytes, blob.BlobWriter] = {}
        self._links: dict[bytes, bytes] = {}
        with compression.open_decompressed(stream) as plain:
            reader = tar.TarReader(plain)
            for entry in reader:
                name = layers.clean(entry.name)
                if max(len(name), len(entry.linkname)) > _MAX_NAME:
                    raise BrokenArchive(f"{entry}: a name of more than {_MAX_NAME} bytes in an image archive")
                if len(self._files) + len(self._links) >= _MAX_FILES:
                    raise BrokenArchive(f"more than {_MAX_FILES} files in an image archive")
                if entry.type == tar.REGULAR:
                    with stage.open_blob() as written:
                        for data in reader.data():
                            written.write(data)
                    self._files[name] = written
                elif entry.type == tar.SYMLINK:
                    self._links[name] = name.rpartition(b"/")[0] + b"/" + entry.linkname
                elif entry.type == tar.HARDLINK:
                    self._links[name] = entry.linkname
            reader.drain()

    def __contains__(self, name: str) -> bool:
        return name.encode() in self._files

    def file(self, name: str) -> blob.BlobWriter:
        """Return a staged file, by its name or a link to it. Raises BrokenArchive if the archive lacks it."""
        found = layers.clean(name.encode(errors="surrogateescape"))
        for _ in range(_MAX_LINKS):
            if found in self._files:
                return self._files[found]
            if found not in self._links:
                break
            found = layers.clean(self._links[found])
        raise BrokenArchive(f"the archive lacks {name}, which it refers to")

    def blob(self, descriptor: dict[str, Any]) -> blob.BlobWriter:
        """Return the blob of an OCI descriptor, with digest and size checked. Raises BrokenArchive."""
        digest = descriptor["digest"]
        found = self.file(f"blobs/{digest.replace(':', '/')}")
        blob.check(digest, found.digest, f"blob {digest}")
        if descriptor["size"] != found.size:
            raise BrokenArchive(f"blob {digest} has {found.size} bytes, not {descriptor['size']}")
        return found


def document(shape_: Any, written: blob.BlobWriter, name: str) -> Any:
    """Read a staged JSON file by its shape. Raises BrokenArchive, with the file's name."""
    return shape.read_file(shape_, written.path, name)


def content(written: blob.BlobWriter) -> bytes:
    """Return the bytes of a staged file that `document` has read, so is not larger than shape.MAX_SIZE."""
    with open(written.path, "rb") as file:
        return file.read(shape.MAX_SIZE + 1)
