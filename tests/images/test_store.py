"""The image store: lookup by name and ID, moved names, shared layers, damaged blobs."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyctr_lite.errors import BrokenArchive, Conflict, InvalidArgument, NotFound
from pyctr_lite.images import descriptors
from pyctr_lite.images import image as images
from tests.images.archives import digest, entry, tar

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctr_lite.images.image import Image
    from pyctr_lite.images.store import ImageStore


def test_an_image_is_found_by_its_name_its_digest_and_its_id(
    store: ImageStore, make_image: Callable[..., Image]
) -> None:
    image = make_image("tool:v1")
    for name in (
        "tool:v1", "docker.io/library/tool:v1", f"tool@{image.digest}", f"tool:v1@{image.digest}",
        image.id, image.id[7:], image.id[7:19], image.id[7:8], image.id[:12], image.digest,
    ):  # fmt: skip
        assert store.get(name).id == image.id, name
    assert store.get("tool:v1").references == ["tool:v1"]


@pytest.mark.parametrize(
    "name", ["tool", "tool:v2", "other", "0" * 64, "sha256:" + "0" * 64, "sha256:" + "0" * 12]
)
def test_an_unknown_name_is_not_found(name: str, store: ImageStore, make_image: Callable[..., Image]) -> None:
    with pytest.raises(NotFound, match="No such image"):
        store.get(name)
    make_image("tool:v1")
    with pytest.raises(NotFound, match="No such image"):
        store.get(name)


def test_a_mistyped_name_gets_a_suggestion(store: ImageStore, make_image: Callable[..., Image]) -> None:
    make_image("busybox")
    with pytest.raises(NotFound) as raised:
        store.get("busibox")
    assert raised.value.message == "No such image: busibox:latest"
    assert "busybox:latest" in raised.value.hint


def test_a_digest_belongs_to_its_repository(store: ImageStore, make_image: Callable[..., Image]) -> None:
    image = make_image("tool")
    with pytest.raises(NotFound):
        store.get(f"other@{image.digest}")


def test_a_name_takes_precedence_over_the_prefix_of_an_id(
    store: ImageStore, make_image: Callable[..., Image]
) -> None:
    first = make_image("one", b"1")
    named = make_image(first.id[7:10], b"2")
    assert store.get(first.id[7:10]).id == named.id
    assert store.get(first.id).id == first.id


def test_a_prefix_of_several_ids_is_ambiguous(store: ImageStore, make_image: Callable[..., Image]) -> None:
    made = [make_image(None, b"%d" % number) for number in range(17)]
    prefixes = [image.id[7] for image in made]
    twice = next(digit for digit in prefixes if prefixes.count(digit) > 1)
    with pytest.raises(Conflict, match="ambiguous"):
        store.get(f"sha256:{twice}")


def test_moving_a_name_leaves_the_old_image_dangling(store: ImageStore, make_image: Callable[..., Image]) -> None:
    old, new = make_image("tool", b"old"), make_image("tool", b"new")
    assert store.get("tool").id == new.id
    assert store.get(old.id).references == []
    assert len(store.list()) == 2
    store.tag(old.id, "kept:v1")
    assert store.get("kept:v1").id == old.id
    assert [image.references for image in store.list()] == [["tool:latest"], ["kept:v1"]]


def test_an_image_with_several_names_is_listed_once(store: ImageStore, make_image: Callable[..., Image]) -> None:
    image = make_image("tool")
    store.tag("tool", "quay.io/me/tool:v2")
    store.tag("tool", "tool")
    assert sorted(store.get(image.id).references) == ["quay.io/me/tool:v2", "tool:latest"]
    assert len(store.list()) == 1


def test_a_tag_with_a_digest_is_refused(store: ImageStore, make_image: Callable[..., Image]) -> None:
    image = make_image("tool")
    with pytest.raises(InvalidArgument, match="refusing to create a tag with a digest"):
        store.tag("tool", f"tool@{image.digest}")
    with pytest.raises(NotFound):
        store.tag("missing", "tool:v2")


def test_chain_ids_follow_the_specification() -> None:
    first, second = digest(b"1"), digest(b"2")
    chained = digest(f"{first} {second}".encode())
    assert images.chain_ids([]) == []
    assert images.chain_ids([first]) == [first]
    assert images.chain_ids([first, second, first]) == [first, chained, digest(f"{chained} {first}".encode())]


def add_layer(store: ImageStore, parent: Image, content: bytes, name: str) -> Image:
    with store.staging() as stage:
        with stage.open_blob() as blob:
            blob.write(content)
        new = stage.plain_layer(blob)
        diff_ids = [*(layer.diff_id for layer in parent.layers), new.diff_id]
        config = {**parent.config, "rootfs": {"type": "layers", "diff_ids": diff_ids}}
        return store.add_image(config, [*parent.layers, new], [name])


def test_images_share_their_common_layers(store: ImageStore, make_image: Callable[..., Image]) -> None:
    base = make_image("base")
    one = add_layer(store, base, tar(entry("one")), "one")
    two = add_layer(store, base, tar(entry("two")), "two")
    directories = store.layer_directories(one)
    assert directories[0] == store.layer_directories(two)[0] == store.layer_directories(base)[0]
    assert Path(directories[1], "one").exists()
    assert len(os.listdir(store.layers)) == 3
    assert store.layer_directories(one) == directories


def test_a_config_that_disagrees_with_its_layers_is_refused(
    store: ImageStore, make_image: Callable[..., Image], picture: Callable[[], dict[str, str]]
) -> None:
    base = make_image("base")
    before = picture()
    with pytest.raises(BrokenArchive, match="diff_ids"):
        store.add_image({**base.config, "rootfs": {"diff_ids": []}}, base.layers, ["x"])
    assert picture() == before


def test_missing_layers_are_unpacked_again(store: ImageStore, make_image: Callable[..., Image]) -> None:
    image = make_image("tool", b"content")
    directory = Path(store.layer_directories(image)[0])
    subprocess.run(["rm", "-r", directory], check=True)
    assert store.layer_directories(image) == [str(directory)]
    assert (directory / "d/file").read_bytes() == b"content"


@pytest.mark.parametrize("damage", ["content", "length", "gone"])
def test_a_damaged_layer_is_never_unpacked(
    store: ImageStore, make_image: Callable[..., Image], damage: str
) -> None:
    image = make_image("tool", b"content")
    subprocess.run(["rm", "-r", store.layers], check=True)
    blob = Path(store.blob_path(image.layers[0].digest))
    content = blob.read_bytes()
    if damage == "gone":
        blob.unlink()
    else:
        blob.write_bytes(content.replace(b"content", b"Content") if damage == "content" else content[:1024])
    with pytest.raises(BrokenArchive, match=r"wrong digest|the archive is truncated|lacks"):
        store.layer_directories(image)
    assert not os.path.exists(store.layers) or os.listdir(store.layers) == []
    assert os.listdir(f"{store.root}/staging") == []


def test_a_damaged_manifest_config_or_index_is_reported(
    store: ImageStore, make_image: Callable[..., Image]
) -> None:
    image, other = make_image("tool", b"1"), make_image("other", b"2")
    for name in (image.digest, image.id):
        path = Path(store.blob_path(name))
        content = path.read_bytes()
        path.write_bytes(content[:20])
        with pytest.raises(BrokenArchive, match="damaged"):
            store.get("tool")
        assert store.get("other").id == other.id
        path.write_bytes(content)
    Path(store.layout, "index.json").write_text("{")
    with pytest.raises(BrokenArchive, match="broken image store"):
        store.get("tool")


def test_a_digest_that_is_a_path_is_not_followed(store: ImageStore, make_image: Callable[..., Image]) -> None:
    make_image("tool")
    index = {"manifests": [{"digest": "sha256:../../../../etc/passwd", "annotations": {images.REF_NAME: "x"}}]}
    Path(store.layout, "index.json").write_text(json.dumps(index))
    with pytest.raises(BrokenArchive, match="is not a digest"):
        store.get("x")


def test_concurrent_writers_lose_no_image(store: ImageStore, make_image: Callable[..., Image]) -> None:
    threads = [
        threading.Thread(target=make_image, args=(f"tool:{number}", b"%d" % number)) for number in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(name for image in store.list() for name in image.references) == sorted(
        f"tool:{number}" for number in range(12)
    )
    assert os.listdir(f"{store.root}/staging") == []


def test_foreign_annotations_in_index_json_are_kept(store: ImageStore, make_image: Callable[..., Image]) -> None:
    image = make_image("tool")
    path = Path(store.layout, "index.json")
    index = json.loads(path.read_text())
    index["manifests"][0]["annotations"]["com.example"] = "theirs"
    path.write_text(json.dumps(index))
    make_image("tool", b"other")
    (old,) = [each for each in store.descriptors() if each["digest"] == image.digest]
    assert old["annotations"] == {"com.example": "theirs"}
    assert descriptors.name_of(old) == ""
