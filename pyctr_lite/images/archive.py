"""`load` and `save`: images as an archive, docker-archive or OCI, plain or compressed."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO, cast

from pyctr_lite.errors import BrokenArchive, InvalidArgument, NotFound
from pyctr_lite.images import archive_writer, candidate, compression, contents, writer

if TYPE_CHECKING:
    from pyctr_lite.images.store import ImageStore

FORMATS = ("docker-archive", "oci-archive")


def load(store: ImageStore, source: str | BinaryIO, note: Callable[[str], None] = lambda line: None) -> list[str]:
    """Add the images of an archive (a path, "-" for standard input, or a file): their names, or ID without one.

    `note` is called with a line for each part of it that is passed over: no image, or one for another machine.
    Raises BrokenArchive and leaves the store as it was if anything in the archive is damaged, lies about its
    digest, or is unsafe.
    """
    with open_source(source) as file, store.staging() as stage:
        archive = contents.Contents(file, stage)
        unpacked = candidate.Unpacked(store, stage)
        if "manifest.json" in archive:
            candidates = list(candidate.docker_images(archive, unpacked))
        elif "index.json" in archive:
            candidates = list(candidate.oci_images(archive, unpacked, note))
        else:
            raise BrokenArchive(
                "no image archive: it has neither manifest.json nor index.json",
                "`pyctr_lite import` takes the archive of a root file system.",
            )
        loaded: list[str] = []
        for each in candidates:
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
    """Write images to a file or an open one; `compress` is "", "gzip" or "zstd". The same bytes each time.

    `watch` gives the file that is written to instead, for one to see how far it is.
    A repository's name without a tag stands for all its tags, an ID for the image without a name.
    Fails with BrokenArchive where a blob is not what its digest says: a file is then not left behind.
    """
    if format not in FORMATS:
        raise InvalidArgument(f"unknown archive format: {format!r}", f"It is {' or '.join(FORMATS)}.")
    selected = archive_writer.select(store, names)
    with open_output(output) as file, compression.open_compressor(watch(file), compress) as compressed:
        archive_writer.write_archive(store, selected, compressed, docker=format == "docker-archive")


@contextlib.contextmanager
def open_source(source: str | BinaryIO) -> Iterator[BinaryIO]:
    """A path, "-" for standard input, or a file that stays open, for reading."""
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
            hint = f"Use: tar -C {source} -c . | pyctr_lite … -"
            raise InvalidArgument(f"{source} is a directory", hint) from None
        with file:
            yield file


@contextlib.contextmanager
def open_output(output: str | BinaryIO) -> Iterator[BinaryIO]:
    """An open file as it is; a path's file complete or not at all, and its owner's alone, as Docker's are."""
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
    except BaseException:
        os.unlink(temporary)
        raise


def _open(path: str, mode: str) -> BinaryIO:
    return cast(BinaryIO, open(path, mode))
