"""Removal of names and images: Docker's conflicts, and the blobs and layers of other images are kept."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyctr_lite.errors import Conflict, NotFound
from tests.images.archives import entry, tar
from tests.images.test_store import add_layer

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctr_lite.images.image import Image
    from pyctr_lite.images.store import ImageStore

    Make = Callable[..., Image]


def blobs(store: ImageStore) -> int:
    return len(os.listdir(f"{store.layout}/blobs/sha256"))


def test_removing_the_last_name_removes_the_image(store: ImageStore, make_image: Make) -> None:
    image = make_image("tool")
    assert store.remove("tool") == [
        ("Untagged", "tool:latest"),
        ("Deleted", image.id),
        ("Deleted", image.chain_ids[0]),
    ]
    assert (store.list(), blobs(store), os.listdir(store.layers)) == ([], 0, [])
    assert os.listdir(f"{store.root}/staging") == []
    with pytest.raises(NotFound, match="No such image: tool:latest"):
        store.remove("tool")


def test_an_image_with_another_name_is_kept(store: ImageStore, make_image: Make) -> None:
    image = make_image("tool")
    store.tag("tool", "other")
    assert store.remove("tool") == [("Untagged", "tool:latest")]
    assert store.get("other").id == image.id
    assert store.layer_directories(image)


def test_layers_of_other_images_are_kept(store: ImageStore, make_image: Make) -> None:
    base = make_image("base")
    child = add_layer(store, base, tar(entry("x")), "child")
    store.layer_directories(child)
    removed = store.remove("base")
    assert removed == [("Untagged", "base:latest"), ("Deleted", base.id)]
    assert len(store.layer_directories(store.get("child"))) == 2
    store.remove("child")
    assert (blobs(store), os.listdir(store.layers)) == (0, [])


def test_removing_an_id_removes_its_names_of_several_repositories_only_by_force(
    store: ImageStore, make_image: Make
) -> None:
    image = make_image("tool")
    store.tag("tool", "tool:v2")
    assert store.remove(image.id)[:2] == [("Untagged", "tool:latest"), ("Untagged", "tool:v2")]
    image = make_image("tool")
    store.tag("tool", "other")
    with pytest.raises(Conflict, match=r"must be forced.*multiple repositories"):
        store.remove(image.id[7:19])
    assert len(store.remove(image.id[7:19], force=True)) == 4


def test_an_image_used_by_a_container_is_never_deleted(store: ImageStore, make_image: Make) -> None:
    image = make_image("tool")
    container = "c" * 64

    def in_use(image: Image) -> list[str]:
        return [container]

    expected = (
        'conflict: unable to remove repository reference "tool:latest" (must force) - '
        f"container {container[:12]} is using its referenced image {image.id[7:19]}"
    )
    with pytest.raises(Conflict) as raised:
        store.remove("tool", in_use=in_use)
    assert raised.value.message == expected
    assert store.get("tool").id == image.id
    with pytest.raises(Conflict, match=r"unable to delete .* \(must be forced\) - image is being used by"):
        store.remove(image.id, in_use=in_use)
    assert store.remove("tool", force=True, in_use=in_use) == [("Untagged", "tool:latest")]
    assert store.layer_directories(store.get(image.id))
    with pytest.raises(Conflict, match=r"cannot be forced"):
        store.remove(image.id, force=True, in_use=in_use)
    assert store.prune(in_use=in_use)[0] == []
    assert store.prune()[0] == [("Deleted", image.id), ("Deleted", image.chain_ids[0])]


def test_prune_removes_dangling_images_and_with_all_unused_ones(store: ImageStore, make_image: Make) -> None:
    old, new, used = make_image("tool", b"1"), make_image("tool", b"2"), make_image("used", b"3")
    removed, size = store.prune()
    assert [each for each in removed if each[1].startswith(old.id)] == [("Deleted", old.id)]
    assert size > old.size
    assert len(store.list()) == 2
    removed, _ = store.prune(all=True, in_use=lambda image: ["c"] if image.id == used.id else [])
    assert ("Deleted", new.id) in removed
    assert [image.id for image in store.list()] == [used.id]


def test_prune_removes_unreferenced_blobs_and_layers_unless_they_are_new(
    store: ImageStore, make_image: Make
) -> None:
    image = make_image("tool")
    for name, age in (("a" * 64, 7200), ("b" * 64, 5)):
        orphan = Path(store.layout, "blobs/sha256", name)
        orphan.write_bytes(b"x")
        os.utime(orphan, (time.time() - age,) * 2)
    Path(store.layers, "d" * 64).mkdir()
    store.prune()
    assert sorted(os.listdir(store.layers)) == [image.chain_ids[0][7:]]
    assert "b" * 64 in os.listdir(f"{store.layout}/blobs/sha256")
    assert "a" * 64 not in os.listdir(f"{store.layout}/blobs/sha256")


def test_a_damaged_image_can_be_removed_and_does_not_affect_others(store: ImageStore, make_image: Make) -> None:
    bad, good = make_image("bad", b"1"), make_image("good", b"2")
    Path(store.blob_path(bad.digest)).write_text("{")
    assert store.remove("bad") == [("Untagged", "bad:latest")]
    assert [image.id for image in store.list()] == [good.id]
    assert store.remove("good")[0] == ("Untagged", "good:latest")


def test_removing_an_image_removes_its_init_layer(store: ImageStore, make_image: Make) -> None:
    image = make_image("tool")
    init = Path(store.root, "init", image.chain_ids[-1][7:])
    init.mkdir(parents=True)
    store.remove("tool")
    assert not init.exists()
