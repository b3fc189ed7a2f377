"""`import`: an image from a root file system, with `-c`, `-m` and `--platform`."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyctr_lite.errors import BrokenArchive, InvalidArgument, NotFound
from pyctr_lite.images import importer
from tests.commit.container import tree
from tests.images.archives import digest, directory, entry, tar

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctr_lite.images.image import Image
    from pyctr_lite.images.store import ImageStore

ROOT = tar(directory("bin"), entry("bin/sh", b"x", mode=0o755))


def test_importing_a_file_makes_an_image_of_one_uncompressed_layer(store: ImageStore, tmp_path: Path) -> None:
    (tmp_path / "root.tar").write_bytes(ROOT)
    image = importer.import_rootfs(store, str(tmp_path / "root.tar"), "root:v1")
    assert image.references == ["root:v1"]
    assert [(layer.digest, layer.diff_id) for layer in image.layers] == [(digest(ROOT), digest(ROOT))]
    assert Path(store.layer_directories(image)[0], "bin/sh").read_bytes() == b"x"
    assert image.config["history"][0]["comment"] == f"Imported from {tmp_path}/root.tar"
    assert image.config["architecture"] in ("amd64", "arm64")


def test_a_compressed_archive_is_stored_uncompressed(store: ImageStore) -> None:
    image = importer.import_rootfs(store, io.BytesIO(gzip.compress(ROOT) + gzip.compress(b"more")), "root")
    assert image.layers[0].digest == digest(ROOT + b"more")
    assert image.layers[0].media_type == "application/vnd.oci.image.layer.v1.tar"


def test_changes_message_and_platform_are_in_the_config(store: ImageStore) -> None:
    image = importer.import_rootfs(
        store,
        io.BytesIO(ROOT),
        "root",
        changes=['CMD ["sh", "-l"]', "ENV A=1", "WORKDIR /srv"],
        message="from scratch",
        platform="linux/arm64/v8",
    )
    assert image.config["config"] == {"Cmd": ["sh", "-l"], "Env": ["A=1"], "WorkingDir": "/srv"}
    assert image.config["history"][0]["comment"] == "from scratch"
    assert (image.config["os"], image.config["architecture"], image.config["variant"]) == ("linux", "arm64", "v8")


def test_importing_without_a_name_makes_a_dangling_image(store: ImageStore) -> None:
    assert importer.import_rootfs(store, io.BytesIO(ROOT)).references == []


def test_source_date_epoch_makes_an_import_reproducible(
    store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    first = importer.import_rootfs(store, io.BytesIO(ROOT))
    assert first.created == "2023-11-14T22:13:20Z"
    assert importer.import_rootfs(store, io.BytesIO(ROOT)).id == first.id
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert importer.import_rootfs(store, io.BytesIO(ROOT)).id != first.id


REFUSED = {
    "URL": (("https://example.com/root.tar", "x"), InvalidArgument, "URL is not supported"),
    "missing": (("/nowhere/root.tar", "x"), NotFound, "no such file"),
    "directory": (("/tmp", "x"), InvalidArgument, "is a directory"),
    "name": ((io.BytesIO(ROOT), "Not A Name"), InvalidArgument, "invalid reference format"),
    "digest": ((io.BytesIO(ROOT), f"a@{digest(b'')}"), InvalidArgument, "digest reference"),
    "change": ((io.BytesIO(ROOT), "x", ["RUN true"]), InvalidArgument, "not a valid change"),
    "platform": ((io.BytesIO(ROOT), "x", [], "", "linux//"), InvalidArgument, "invalid platform"),
    "nothing": ((io.BytesIO(b""), "x"), BrokenArchive, "is empty"),
    "no tar": ((io.BytesIO(b"x" * 600), "x"), BrokenArchive, "not a tar archive"),
    "cut": ((io.BytesIO(ROOT[:1100]), "x"), BrokenArchive, "the archive is truncated"),
    "hostile": ((io.BytesIO(tar(entry("../x"))), "x"), BrokenArchive, "leads outside"),
}


@pytest.mark.parametrize(("arguments", "error", "message"), REFUSED.values(), ids=list(REFUSED))
def test_a_refused_import_changes_nothing(
    store: ImageStore,
    make_image: Callable[..., Image],
    picture: Callable[[], dict[str, str]],
    arguments: tuple[object, ...],
    error: type[Exception],
    message: str,
) -> None:
    make_image("already")
    before = picture()
    with pytest.raises(error, match=message):
        importer.import_rootfs(store, *arguments)  # type: ignore[arg-type]
    assert picture() == before
    assert os.listdir(f"{store.root}/staging") == []


def test_an_archive_of_gnu_tar_unpacks_to_the_same_tree(store: ImageStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    script = (
        "mkdir -p a/b; echo x > a/b/f; ln a/b/f a/g; ln -s ../x a/l; mkfifo p; chmod 4711 a/g; touch -d @5.25 p"
    )
    subprocess.run(["sh", "-ec", script], cwd=source, check=True)
    with subprocess.Popen(["tar", "-C", source, "--format=posix", "-c", "."], stdout=subprocess.PIPE) as packing:
        assert packing.stdout
        image = importer.import_rootfs(store, packing.stdout)  # type: ignore[arg-type]
    (unpacked,) = store.layer_directories(image)
    assert tree(unpacked) == tree(source)
