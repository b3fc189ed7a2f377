"""Names and images taken away: Docker's conflicts, and nothing that another image needs."""

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


def test_the_last_name_takes_the_image_with_it(store: ImageStore, make_image: Make) -> None:
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


def test_another_name_keeps_the_image(store: ImageStore, make_image: Make) -> None:
    image = make_image("tool")
    store.tag("tool", "other")
    assert store.remove("tool") == [("Untagged", "tool:latest")]
    assert store.get("other").id == image.id
    assert store.layer_directories(image)


def test_layers_of_other_images_stay(store: ImageStore, make_image: Make) -> None:
    base = make_image("base")
    child = add_layer(store, base, tar(entry("x")), "child")
    store.layer_directories(child)
    removed = store.remove("base")
    assert removed == [("Untagged", "base:latest"), ("Deleted", base.id)]
    assert len(store.layer_directories(store.get("child"))) == 2
    store.remove("child")
    assert (blobs(store), os.listdir(store.layers)) == (0, [])


def test_an_id_takes_all_names_of_one_repository_but_several_only_by_force(
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


def test_an_image_that_a_container_uses_stays_whatever_the_force(store: ImageStore, make_image: Make) -> None:
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


def test_prune_takes_what_has_no_name_and_with_all_what_has_no_container(
    store: ImageStore, make_image: Make
) -> None:
    old, new, used = make_image("tool", b"1"), make_image("tool", b"2"), make_image("used", b"3")
    removed, size = store.prune()
    assert [what for what in removed if what[1].startswith(old.id)] == [("Deleted", old.id)]
    assert size > old.size
    assert len(store.list()) == 2
    removed, _ = store.prune(all=True, in_use=lambda image: ["c"] if image.id == used.id else [])
    assert ("Deleted", new.id) in removed
    assert [image.id for image in store.list()] == [used.id]


def test_prune_takes_blobs_and_layers_that_nobody_names_unless_they_are_new(
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


def test_a_damaged_image_can_be_removed_and_harms_no_other(store: ImageStore, make_image: Make) -> None:
    bad, good = make_image("bad", b"1"), make_image("good", b"2")
    Path(store.blob_path(bad.digest)).write_text("{")
    assert store.remove("bad") == [("Untagged", "bad:latest")]
    assert [image.id for image in store.list()] == [good.id]
    assert store.remove("good")[0] == ("Untagged", "good:latest")


def test_removing_takes_the_init_layer_too(store: ImageStore, make_image: Make) -> None:
    image = make_image("tool")
    init = Path(store.root, "init", image.chain_ids[-1][7:])
    init.mkdir(parents=True)
    store.remove("tool")
    assert not init.exists()
