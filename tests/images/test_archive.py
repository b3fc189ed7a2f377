"""`load` and `save`: both formats, any compression; a damaged or inconsistent archive adds nothing."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zstandard

from pyctr_lite.errors import BrokenArchive, InvalidArgument, NotFound
from pyctr_lite.images import archive, bootstrap
from pyctr_lite.images import image as images
from pyctr_lite.images.store import ImageStore
from tests.images.archives import config, digest, docker_archive, entry, oci_archive, symlink, tar
from tests.images.samples import LAYERS, NAMES
from tests.rootfs.layer_overlay import overlay

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctr_lite.images.image import Image

    Picture = Callable[[], dict[str, str]]

COMPRESSIONS = {
    "plain": lambda content: content,
    "gzip": gzip.compress,
    "zstd": zstandard.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}


def load(store: ImageStore, content: bytes) -> list[str]:
    return archive.load(store, io.BytesIO(content))


def names(store: ImageStore, reference: str, directory: Path) -> list[str]:
    with overlay(directory, store.layer_directories(store.get(reference))) as merged:
        return sorted(str(path.relative_to(merged)) for path in merged.rglob("*"))


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize(
    "make", [docker_archive, lambda layers, tags: oci_archive(layers, tags[0])], ids=["docker", "oci"]
)
def test_an_archive_of_several_layers_loads_plain_and_compressed(
    store: ImageStore, tmp_path: Path, make: Callable[..., bytes], compression: str
) -> None:
    content = COMPRESSIONS[compression](make(LAYERS, ["tool:v1"]))
    assert load(store, content) == ["tool:v1"]
    assert names(store, "tool:v1", tmp_path) == NAMES
    assert os.listdir(f"{store.root}/staging") == []


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
@pytest.mark.parametrize("make", ["docker", "oci"])
def test_compressed_layers_are_stored_unchanged(
    store: ImageStore, tmp_path: Path, make: str, compression: str
) -> None:
    compressed = [COMPRESSIONS[compression](layer) for layer in LAYERS]
    diff_ids = [digest(layer) for layer in LAYERS]
    if make == "oci":
        load(store, oci_archive(compressed, "tool", diff_ids=diff_ids))
    else:
        load(store, docker_archive(compressed, ["tool"], config_content=config(*diff_ids)))
    image = store.get("tool")
    assert [layer.digest for layer in image.layers] == [digest(layer) for layer in compressed]
    assert [layer.diff_id for layer in image.layers] == diff_ids
    assert names(store, "tool", tmp_path) == NAMES
    subprocess.run(["rm", "-r", store.layers], check=True)
    assert names(store, "tool", tmp_path) == NAMES


def test_several_images_with_several_names_share_their_layers(store: ImageStore) -> None:
    contents = [config(digest(LAYERS[0])), config(digest(LAYERS[0]), digest(LAYERS[1]))]
    manifest = [
        {"Config": "a.json", "RepoTags": ["one:v1", "one:v2"], "Layers": ["base/layer.tar"]},
        {"Config": "b.json", "RepoTags": None, "Layers": ["link/layer.tar", "second.tar"]},
    ]
    loaded = load(
        store,
        tar(
            entry("manifest.json", json.dumps(manifest).encode()),
            entry("a.json", contents[0]),
            entry("b.json", contents[1]),
            symlink("link/layer.tar", "../base/layer.tar"),
            entry("base/layer.tar", LAYERS[0]),
            entry("second.tar", LAYERS[1]),
        ),
    )
    assert loaded == ["one:v1", "one:v2", digest(contents[1])]
    assert len(os.listdir(store.layers)) == 2
    assert store.get(digest(contents[1])).references == []


def test_an_index_of_platforms_loads_the_image_for_the_host(store: ImageStore) -> None:
    whole = io.BytesIO(oci_archive(LAYERS[:1], "tool"))
    with tarfile.open(fileobj=whole) as opened:
        files = {info.name: opened.extractfile(info).read() for info in opened}  # type: ignore[union-attr]
    (descriptor,) = json.loads(files.pop("index.json"))["manifests"]
    ours = {**descriptor, "platform": {"os": "linux", "architecture": "amd64"}}
    if os.uname().machine == "aarch64":
        ours["platform"]["architecture"] = "arm64"
    other = {**descriptor, "digest": "sha256:" + "0" * 64, "platform": {"os": "linux", "architecture": "s390x"}}
    unknown = {**other, "platform": {"os": "unknown", "architecture": "unknown"}}

    def archive_of(manifests: list[object]) -> bytes:
        nested = json.dumps({"schemaVersion": 2, "manifests": manifests}).encode()
        named = {
            "mediaType": images.INDEX,
            "digest": digest(nested),
            "size": len(nested),
            "annotations": {"io.containerd.image.name": "docker.io/library/multi:v1"},
        }
        index = json.dumps({"schemaVersion": 2, "manifests": [named]}).encode()
        blobs = {**files, f"blobs/sha256/{digest(nested)[7:]}": nested, "index.json": index}
        return tar(*(entry(name, content) for name, content in blobs.items()))

    assert load(store, archive_of([unknown, other, ours])) == ["multi:v1"]
    with pytest.raises(NotFound, match=r"not for linux/.*linux/s390x"):
        load(store, archive_of([other]))


LACKING = entry("manifest.json", b'[{"Config": "c", "Layers": ["l"]}]')
ZSTD = zstandard.compress(docker_archive(LAYERS, ["x"]))
BROKEN = {
    "wrong layer": (oci_archive(LAYERS, "x", layer=LAYERS[2]), "wrong digest"),
    "wrong config": (oci_archive(LAYERS, "x", config=config()), "wrong digest"),
    "wrong manifest": (oci_archive(LAYERS, "x", manifest=b"{}"), "wrong digest"),
    "wrong diff_id": (oci_archive(LAYERS[:1], "x", diff_ids=[digest(b"")]), "wrong digest"),
    "wrong diff_id of a compressed layer": (
        oci_archive([gzip.compress(LAYERS[0])], "x", diff_ids=[digest(b"")]),
        "wrong digest",
    ),
    "wrong diff_id, docker": (
        docker_archive(LAYERS, ["x"], config_content=config(*[digest(b"")] * 3)),
        "wrong digest",
    ),
    "too few diff_ids": (docker_archive(LAYERS, ["x"], config_content=config()), "3 layers, but 0 diff_ids"),
    "diff_id that is a path": (docker_archive(LAYERS[:1], ["x"], config_content=config("../../x")), "diff_ids"),
    "config that is not an object": (docker_archive([], ["x"], config_content=b"[]"), "must be an object"),
    "config that is not JSON": (docker_archive([], ["x"], config_content=b"{"), "damaged"),
    "config of another name": (
        tar(
            entry("manifest.json", b'[{"Config": "%064d.json", "Layers": []}]' % 0),
            entry("0" * 64 + ".json", b"{}"),
        ),
        "wrong digest",
    ),
    "missing layer": (
        tar(LACKING, entry("c", b"{}")), "lacks l",
    ),
    "layer that is a link to the outside": (
        tar(LACKING, entry("c", b"{}"), symlink("l", "/etc/passwd")),
        "lacks l",
    ),
    "layer that is a link in a circle": (
        tar(LACKING, entry("c", b"{}"), symlink("l", "l")),
        "lacks l",
    ),
    "layer above the archive": (
        tar(entry("manifest.json", b'[{"Config": "c", "Layers": ["../l"]}]'), entry("c", b"{}")), "outside",
    ),
    "digest that is a path": (
        tar(
            entry("index.json", b'{"manifests": [{"mediaType": "x", "digest": "sha256:../../x", "size": 2}]}'),
            entry("x", b"{}"),
        ),
        "digest must be a digest",
    ),
    "entry above the archive": (tar(entry("../x", b"x"), entry("manifest.json", b"[]")), "outside"),
    "manifest.json that is not a list": (tar(entry("manifest.json", b"{}")), "must be an array"),
    "manifest.json that is not JSON": (tar(entry("manifest.json", b"[")), "damaged"),
    "a root file system": (LAYERS[0], "not an image archive"),
    "not a tar archive": (b"hello" * 500, "no.* tar archive"),
    "nothing": (b"", "not an image archive"),
    "hostile layer": (oci_archive([tar(entry("../../x", b"x"))], "x"), "leads outside"),
    "truncated layer": (oci_archive([LAYERS[0][:5000]], "x"), "the archive is truncated"),
    "second image is broken": (
        tar(
            entry(
                "manifest.json",
                b'[{"Config": "a", "RepoTags": ["a"], "Layers": []}, {"Config": "b", "Layers": []}]',
            ),
            entry("a", config()),
        ),
        "lacks b",
    ),
    "cut gzip": (gzip.compress(docker_archive(LAYERS, ["x"]))[:-200], "damaged gzip data"),
    "damaged gzip": (gzip.compress(docker_archive(LAYERS, ["x"]))[:-8] + b"\0" * 8, "damaged gzip data"),
    "damaged zstd": (ZSTD[:200] + b"\xff" * 90 + ZSTD[290:], "damaged zstd data|not a tar|wrong digest"),
    "cut zstd": (ZSTD[:-200], "the archive is truncated"),
    "cut xz": (lzma.compress(docker_archive(LAYERS, ["x"]))[:-200], "damaged xz data"),
    "cut bzip2": (bz2.compress(docker_archive(LAYERS, ["x"]))[:-200], "damaged bzip2 data"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "message"), BROKEN.values(), ids=list(BROKEN))
def test_a_broken_archive_is_refused_and_changes_nothing(
    store: ImageStore, make_image: Callable[..., Image], picture: Picture, content: bytes, message: str
) -> None:
    make_image("already")
    before = picture()
    with pytest.raises(BrokenArchive, match=message) as raised:
        load(store, content)
    assert "\n" not in raised.value.message
    assert picture() == before
    assert os.listdir(f"{store.root}/staging") == []


def test_loading_a_missing_file_or_a_directory_names_the_problem(store: ImageStore, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such file"):
        archive.load(store, str(tmp_path / "missing"))
    with pytest.raises(InvalidArgument, match="is a directory"):
        archive.load(store, str(tmp_path))


# --- save ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compress", ["", "gzip", "zstd"])
@pytest.mark.parametrize("format", archive.FORMATS)
def test_a_saved_image_loads_as_the_same_image(
    store: ImageStore, tmp_path: Path, format: str, compress: str
) -> None:
    load(store, docker_archive(LAYERS, ["tool:v1", "me/tool"]))
    saved = tmp_path / "saved.tar"
    archive.save(store, ["tool:v1", "me/tool"], str(saved), format=format, compress=compress)
    assert saved.read_bytes().startswith({"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5"}.get(compress, b"blobs"))
    other = ImageStore(str(tmp_path / "other"))
    assert sorted(archive.load(other, str(saved))) == ["me/tool:latest", "tool:v1"]
    assert (other.get("tool:v1").id, other.get("tool:v1").digest) == (
        store.get("tool:v1").id,
        store.get("me/tool").digest,
    )
    again = io.BytesIO()
    archive.save(other, ["tool:v1", "me/tool"], again, format=format, compress=compress)
    assert again.getvalue() == saved.read_bytes()


def test_saving_a_repository_saves_all_its_tags_and_saving_an_id_none(
    store: ImageStore, make_image: Callable[..., Image], tmp_path: Path
) -> None:
    image, other = make_image("tool", b"1"), make_image("tool:v2", b"2")
    expected = {
        "tool": ["tool:latest", "tool:v2"],
        "tool:v2": ["tool:v2"],
        image.id: [image.id],
    }
    for number, (name, loaded) in enumerate(expected.items()):
        output = io.BytesIO()
        archive.save(store, [name], output)
        output.seek(0)
        assert sorted(archive.load(ImageStore(str(tmp_path / str(number))), output)) == loaded
    assert other.id != image.id


def test_saving_a_damaged_blob_fails(store: ImageStore, make_image: Callable[..., Image], tmp_path: Path) -> None:
    image = make_image("tool", b"content")
    blob = Path(store.blob_path(image.layers[0].digest))
    blob.write_bytes(blob.read_bytes().replace(b"content", b"Content"))
    with pytest.raises(BrokenArchive, match="wrong digest"):
        archive.save(store, ["tool"], str(tmp_path / "saved.tar"))
    assert not list(tmp_path.glob("saved*"))


def test_save_refuses_unknown_names_formats_and_directories(
    store: ImageStore, make_image: Callable[..., Image], tmp_path: Path
) -> None:
    make_image("tool")
    with pytest.raises(NotFound, match="No such image: missing:latest"):
        archive.save(store, ["tool", "missing"], str(tmp_path / "x"))
    with pytest.raises(NotFound, match="no such directory"):
        archive.save(store, ["tool"], str(tmp_path / "no/x"))
    with pytest.raises(InvalidArgument, match="unknown archive format"):
        archive.save(store, ["tool"], str(tmp_path / "x"), format="zip")
    with pytest.raises(InvalidArgument, match="unknown compression"):
        archive.save(store, ["tool"], str(tmp_path / "x"), compress="rar")
    assert not list(tmp_path.glob("x*"))
    archive.save(store, ["tool"], "/dev/null")
    assert Path("/dev/null").is_char_device()


def test_an_archive_is_saved_and_loaded_through_pipes(store: ImageStore, tmp_path: Path) -> None:
    bootstrap.bootstrap_busybox(store)
    other = ImageStore(str(tmp_path / "other"))
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as cat:
        assert cat.stdin
        assert cat.stdout
        source = os.fork()
        if source == 0:
            archive.save(store, ["busybox"], cat.stdin)  # type: ignore[arg-type]
            cat.stdin.flush()
            os._exit(0)
        cat.stdin.close()
        assert archive.load(other, cat.stdout) == ["busybox:latest"]  # type: ignore[arg-type]
        assert os.waitpid(source, 0)[1] == 0
    assert other.get("busybox").id == store.get("busybox").id
