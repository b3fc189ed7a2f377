"""ADD of a local archive: its contents go through the unpacker that `cp` uses, which no link leads astray."""

from __future__ import annotations

import os

from pyctr_lite.engine.build import context
from pyctr_lite.engine.files import tree_unpack
from pyctr_lite.errors import BrokenArchive
from pyctr_lite.images import compression

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO


def is_archive(file: BinaryIO) -> bool:
    """Return whether a file begins like a tar archive, plain or compressed by gzip, bzip2, xz or zstd."""
    try:
        with compression.open_decompressed(file) as plain:
            block = b""
            while len(block) < 512 and (more := plain.read(512 - len(block))):
                block += more
    except BrokenArchive:
        return False
    finally:
        os.lseek(file.fileno(), 0, os.SEEK_SET)
    return context.is_tar(block)


def unpack(file: BinaryIO, root: int, directory: int, path: str, owner: tuple[int, int] | None) -> None:
    """Unpack an archive into a directory of a root. Without `owner` the files have the archive's owners."""
    with compression.open_decompressed(file) as plain:
        tree_unpack.Unpacker(directory, path, owner=owner, root=root).unpack(plain)
