"""Decompression bombs: refused at a limit that the error message states and the environment can change."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from pyctr_lite.errors import BrokenArchive, InvalidArgument
from pyctr_lite.images import archive, compression, importer
from pyctr_lite.images.image import Image
from pyctr_lite.images.store import ImageStore
from tests.images.archives import config, digest, docker_archive, entry, tar

MEGABYTE = 1 << 20
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_a_bomb_is_refused_and_leaves_the_store_unchanged(
    store: ImageStore,
    make_image: Callable[..., Image],
    picture: Callable[[], dict[str, str]],
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(compression.MAX_VARIABLE, str(MEGABYTE))
    make_image("other")
    before = picture()
    bomb = COMPRESSORS[kind](tar(entry("zeros", bytes(8 * MEGABYTE))))
    assert len(bomb) < MEGABYTE / 50
    with pytest.raises(BrokenArchive, match=f"{kind} data of more than {MEGABYTE} bytes") as raised:
        importer.import_rootfs(store, io.BytesIO(bomb), "bomb")
    assert compression.MAX_VARIABLE in raised.value.hint
    assert picture() == before


def test_an_archive_below_the_limit_is_accepted(store: ImageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compression.MAX_VARIABLE, str(10 * MEGABYTE))
    bomb = gzip.compress(tar(entry("zeros", bytes(8 * MEGABYTE))))
    assert importer.import_rootfs(store, io.BytesIO(bomb), "fine")


def test_a_bomb_inside_an_image_archive_is_refused(store: ImageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compression.MAX_VARIABLE, str(MEGABYTE))
    bomb = io.BytesIO(gzip.compress(tar(entry("layer.tar", bytes(8 * MEGABYTE)))))
    with pytest.raises(BrokenArchive, match=f"more than {MEGABYTE} bytes"):
        archive.load(store, bomb)


def test_a_limit_that_is_not_a_number_is_refused(store: ImageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compression.MAX_VARIABLE, "64g")
    with pytest.raises(InvalidArgument, match="number of bytes"):
        importer.import_rootfs(store, io.BytesIO(gzip.compress(tar(entry("x")))), "x")


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_a_stream_of_several_parts_is_read_to_the_end(store: ImageStore, kind: str) -> None:
    """Such streams come from `cat` and parallel compressors; for zstd also with skippable frames (pzstd)."""
    plain = tar(entry("a", bytes(range(256)) * 1000))
    parts = [plain[:5000], plain[5000:5001], plain[5001:]]
    pad = b"\0" * 512 if kind in ("gzip", "xz") else b""
    stream = pad.join(COMPRESSORS[kind](part) for part in parts) + pad
    image = importer.import_rootfs(store, io.BytesIO(stream), "parts")
    assert image.layers[0].digest == digest(plain)


@pytest.mark.parametrize("first", [0x50, 0x57, 0x5F])
def test_skippable_frames_of_zstd_are_accepted_anywhere(store: ImageStore, first: int) -> None:
    skipped = bytes([first]) + b"\x2a\x4d\x18" + (9).to_bytes(4, "little") + b"anything."
    plain = tar(entry("a", b"content" * 1000))
    stream = skipped + skipped + COMPRESSORS["zstd"](plain[:600]) + skipped + COMPRESSORS["zstd"](plain[600:])
    assert importer.import_rootfs(store, io.BytesIO(stream), "skip").layers[0].digest == digest(plain)
    loaded = archive.load(
        store, io.BytesIO(docker_archive([stream + skipped], ["skip:2"], config_content=config(digest(plain))))
    )
    [layer] = store.get(loaded[0]).layers
    assert layer.media_type.endswith("+zstd")
    assert Path(store.layer_directories(store.get("skip:2"))[0], "a").read_bytes() == b"content" * 1000


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_a_truncated_compressed_stream_is_refused(store: ImageStore, kind: str) -> None:
    stream = COMPRESSORS[kind](tar(entry("a", os.urandom(100_000))))
    for length in (len(stream) // 2, len(stream) - 6000):
        with pytest.raises(BrokenArchive, match=r"in the middle|ended before|is empty"):
            importer.import_rootfs(store, io.BytesIO(stream[:length]), "cut")


UNSUPPORTED = {
    "lz4": b"\x04\x22\x4d\x18\x64\x40\xa7",
    "lzip": b"LZIP\1\x0c",
    "compress": b"\x1f\x9d\x90",
    "lzma": lzma.compress(b"x", lzma.FORMAT_ALONE),
    "zip": b"PK\x03\x04\x14\0",
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_an_unsupported_compression_is_named(store: ImageStore, name: str) -> None:
    with pytest.raises(BrokenArchive, match=f"compressed by {name}, which is not supported") as raised:
        importer.import_rootfs(store, io.BytesIO(UNSUPPORTED[name] + bytes(1000)), "other")
    assert "gzip, zstd, bzip2 or xz" in raised.value.hint


@pytest.mark.parametrize("first", ["LZIP", "PK", "]", "BZ"])
def test_an_uncompressed_archive_is_recognized_by_more_than_its_first_name(store: ImageStore, first: str) -> None:
    plain = tar(entry(first, b"x"))
    assert importer.import_rootfs(store, io.BytesIO(plain), "plain").layers[0].digest == digest(plain)


def test_a_file_that_claims_to_be_huge_takes_no_space(store: ImageStore) -> None:
    """The file is sparse, of 1 TB, and becomes a hole."""
    header = tarfile.TarInfo("huge")
    header.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(1 << 40)}
    content = header.tobuf(tarfile.PAX_FORMAT) + bytes(1024)
    image = importer.import_rootfs(store, io.BytesIO(content), "huge")
    [layer] = store.layer_directories(image)
    status = (Path(layer) / "huge").stat()
    assert (status.st_size, status.st_blocks) == (1 << 40, 0)
