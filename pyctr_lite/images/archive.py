"""Image archives: `load` and `save`, in the formats docker-archive and OCI, plain or compressed."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys

from pyctr_lite.errors import BrokenArchive, InvalidArgument, NotFound
from pyctr_lite.images import archive_writer, compression, contents, staged, writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import BinaryIO

    from pyctr_lite.images.store import ImageStore

FORMATS = ("docker-archive", "oci-archive")


def load(store: ImageStore, source: str | BinaryIO, note: Callable[[str], None] = lambda line: None) -> list[str]:
    """Add the images of an archive, and return their names; the ID of an image without a name.

    `source` is a path, "-" for standard input, or an open file. `note` is called with a line for each part that is
    skipped: not an image, or an image for another platform.
    Raises BrokenArchive and leaves the store unchanged if any part is damaged, does not match its digest, or is
    unsafe.
    """
    with open_source(source) as file, store.staging() as stage:
        archive = contents.Contents(file, stage)
        unpacker = staged.LayerUnpacker(store, stage)
        if "manifest.json" in archive:
            found = list(staged.docker_images(archive, unpacker))
        elif "index.json" in archive:
            found = list(staged.oci_images(archive, unpacker, note))
        else:
            raise BrokenArchive(
                "not an image archive: it has neither manifest.json nor index.json",
                "use `pyctr_lite import` for the archive of a root file system",
            )
        loaded: list[str] = []
        for each in found:
            image = writer.add_image(store, each.config, each.layers, each.names, each.manifest)
            loaded += each.names or [image.id]
        return loaded


def save(
    store: ImageStore,
    names: Sequence[str],
    output: str | BinaryIO,
    format: str = "docker-archive",
    compress: str = "",
    watch: Callable[[BinaryIO], BinaryIO] = lambda file: file,
) -> None:
    """Write images to a path or an open file; `compress` is "", "gzip" or "zstd". Reproducible.

    `watch` wraps the output file, to report progress. A repository without a tag stands for all its tags; an image
    given by its ID is saved without a name.
    Raises BrokenArchive if a blob does not match its digest; then a new file is removed.
    """
    if format not in FORMATS:
        raise InvalidArgument(f"unknown archive format: {format!r}", f"use {' or '.join(FORMATS)}")
    selected = archive_writer.select(store, names)
    with open_output(output) as file, compression.open_compressor(watch(file), compress) as compressed:
        archive_writer.write_archive(store, selected, compressed, docker=format == "docker-archive")


@contextlib.contextmanager
def open_source(source: str | BinaryIO) -> Iterator[BinaryIO]:
    """Open a path, "-" for standard input, for reading. An open file is yielded as it is, and stays open."""
    if not isinstance(source, str):
        yield source
    elif source == "-":
        yield sys.stdin.buffer
    else:
        try:
            file = _open(source, "rb")
        except FileNotFoundError:
            raise NotFound(f"no such file: {source}") from None
        except IsADirectoryError:
            hint = f"use: tar -C {source} -c . | pyctr_lite … -"
            raise InvalidArgument(f"{source} is a directory", hint) from None
        with file:
            yield file


@contextlib.contextmanager
def open_output(output: str | BinaryIO) -> Iterator[BinaryIO]:
    """Open a path for writing, mode 0600 as Docker's: the file appears complete or not at all.

    An open file is yielded as it is, and stays open.
    """
    if not isinstance(output, str):
        yield output
        return
    try:
        if os.path.exists(output) and not stat.S_ISREG(os.stat(output).st_mode):
            with _open(output, "wb") as file:  # a device or a pipe is written to, not replaced
                yield file
            return
        temporary = f"{output}.{os.getpid()}.tmp"
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        raise NotFound(f"no such directory: {os.path.dirname(output)}") from None
    try:
        with open(fd, "wb") as file:
            yield file
        os.rename(temporary, output)
    except BaseException as error:
        os.unlink(temporary)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            error.filename = output
        raise


def _open(path: str, mode: str) -> BinaryIO:
    return open(path, mode)  # type: ignore[return-value]
