"""Archives that decompress to far more than they are: refused at a limit that is stated and can be changed."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from pyctr_lite.errors import BrokenArchive, InvalidArgument
from pyctr_lite.images import archive, compression, importer
from pyctr_lite.images.image import Image
from pyctr_lite.images.store import ImageStore
from tests.images.archives import entry, tar

MEGABYTE = 1 << 20
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_a_bomb_is_refused_and_the_store_is_as_before(
    store: ImageStore,
    make_image: Callable[..., Image],
    picture: Callable[[], dict[str, str]],
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(compression.MOST_VARIABLE, str(MEGABYTE))
    make_image("other")
    before = picture()
    bomb = COMPRESSORS[kind](tar(entry("zeros", bytes(8 * MEGABYTE))))
    assert len(bomb) < MEGABYTE / 50
    with pytest.raises(BrokenArchive, match=f"{kind} data that is more than {MEGABYTE} bytes") as raised:
        importer.import_rootfs(store, io.BytesIO(bomb), "bomb")
    assert compression.MOST_VARIABLE in raised.value.hint
    assert picture() == before


def test_below_the_limit_all_is_well(store: ImageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compression.MOST_VARIABLE, str(10 * MEGABYTE))
    bomb = gzip.compress(tar(entry("zeros", bytes(8 * MEGABYTE))))
    assert importer.import_rootfs(store, io.BytesIO(bomb), "fine")


def test_a_bomb_inside_an_image_archive_is_refused(store: ImageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compression.MOST_VARIABLE, str(MEGABYTE))
    bomb = io.BytesIO(gzip.compress(tar(entry("layer.tar", bytes(8 * MEGABYTE)))))
    with pytest.raises(BrokenArchive, match=f"more than {MEGABYTE} bytes"):
        archive.load(store, bomb)


def test_the_limit_is_a_number(store: ImageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(compression.MOST_VARIABLE, "64g")
    with pytest.raises(InvalidArgument, match="number of bytes"):
        importer.import_rootfs(store, io.BytesIO(gzip.compress(tar(entry("x")))), "x")


def test_a_file_that_claims_to_be_huge_costs_nothing(store: ImageStore) -> None:
    """A sparse file of a terabyte: it is made as a hole."""
    header = tarfile.TarInfo("huge")
    header.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(1 << 40)}
    content = header.tobuf(tarfile.PAX_FORMAT) + bytes(1024)
    image = importer.import_rootfs(store, io.BytesIO(content), "huge")
    [layer] = store.layer_directories(image)
    status = (Path(layer) / "huge").stat()
    assert (status.st_size, status.st_blocks) == (1 << 40, 0)
