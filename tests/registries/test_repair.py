"""Repair of damaged images, and garbage collection beside a pull."""

from __future__ import annotations

import io
import json
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyctr_lite.errors import NotFound, PyctrError
from pyctr_lite.images import partial, reference, verification
from pyctr_lite.images.store import ImageStore
from pyctr_lite.registries import pull, push, repair
from tests.images.archives import digest, entry, tar
from tests.registries.servers import DockerRegistry, Fault, FaultProxy, Seen
from tests.registries.test_push import make

if TYPE_CHECKING:
    from pyctr_lite.images.image import Image

LAYERS = [tar(entry(f"file{number}", os.urandom(100_000))) for number in range(3)]


def pulled(store: ImageStore, host: str, name: str) -> Image:
    return pull.pull(store, reference.parse(f"{host}/{name}")).image


def damage(path: Path, how: str) -> None:
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: -1 if how == "short" else 0] or b"{}")


@pytest.mark.parametrize("how", ["gone", "short", "empty"])
@pytest.mark.parametrize("victim", ["manifest", "config", "layer"])
def test_a_damaged_blob_is_downloaded_again(
    store: ImageStore, registry: DockerRegistry, repository: str, victim: str, how: str
) -> None:
    registry.publish(repository, "v1", LAYERS)
    name = f"{registry.host}/{repository}:v1"
    image = pulled(store, registry.host, f"{repository}:v1")
    lost = {"manifest": image.digest, "config": image.id, "layer": image.layers[1].digest}[victim]
    damage(Path(store.blob_path(lost)), how)
    assert [error is None for _, error in verification.verify(store)] == [False]
    assert repair.repair(store, name) == [lost]
    assert [error is None for _, error in verification.verify(store)] == [True]
    assert store.get(name).id == image.id
    assert repair.repair(store, name) == []


@pytest.mark.parametrize("how", ["gone", "short"])
def test_a_layer_that_was_compressed_when_it_was_pushed_is_decompressed_again(
    store: ImageStore, registry: DockerRegistry, repository: str, how: str
) -> None:
    name = f"{registry.host}/{repository}:v1"
    make(store, name, LAYERS)
    push.push(store, reference.parse(name))
    lost = store.get(name).layers[1].digest
    damage(Path(store.blob_path(lost)), how)
    assert repair.repair(store, name) == [lost]
    assert [error is None for _, error in verification.verify(store)] == [True]
    assert os.listdir(f"{store.root}/staging") == os.listdir(f"{store.root}/partial") == []


def test_what_the_registry_does_not_have_stays_as_it_is(
    store: ImageStore, registry: DockerRegistry, repository: str
) -> None:
    name = f"{registry.host}/{repository}:v1"
    make(store, name, LAYERS)
    path = Path(store.blob_path(store.get(name).layers[0].digest))
    damage(path, "short")
    before = path.read_bytes()
    with pytest.raises(PyctrError, match=r"blob unknown|name unknown"):
        repair.repair(store, name)
    assert path.read_bytes() == before
    with pytest.raises(NotFound):
        repair.repair(store, "sha256:" + "0" * 64)


def test_a_prune_beside_a_pull_removes_nothing_that_the_pull_needs(
    store: ImageStore, proxy: FaultProxy, repository: str
) -> None:
    """The prune runs when two layers are complete, and no image refers to them yet."""
    assert proxy.upstream is not None
    layers = json.loads(proxy.upstream.publish(repository, "v1", LAYERS))["layers"]
    complete = threading.Semaphore(0)
    pruned: list[int] = []

    def report(name: str, state: str, done: int, total: int) -> None:
        if state == "Download complete":
            complete.release()

    def fault(request: Seen) -> Fault | None:
        if layers[0]["digest"] in request.path:
            complete.acquire()
            complete.acquire()
            pruned.append(ImageStore(store.root).prune(all=True)[1])
        return None

    proxy.fault = fault
    name = reference.parse(f"{proxy.host}/{repository}:v1")
    assert pull.pull(store, name, None, report).is_new
    assert pruned == [0]
    assert len(proxy.fetched("/blobs/")) == 4
    assert [error is None for _, error in verification.verify(store)] == [True]


def test_an_image_removed_beside_a_pull_that_shares_its_layers_is_fetched_again(
    store: ImageStore, proxy: FaultProxy, repository: str
) -> None:
    assert proxy.upstream is not None
    proxy.upstream.publish(repository, "old", LAYERS[:2])
    proxy.upstream.publish(repository, "new", LAYERS)
    pulled(store, proxy.host, f"{repository}:old")
    removed: list[object] = []

    def report(name: str, state: str, done: int, total: int) -> None:
        if state == "Download complete" and not removed:
            removed.extend(ImageStore(store.root).remove(f"{proxy.host}/{repository}:old"))

    name = reference.parse(f"{proxy.host}/{repository}:new")
    image = pull.pull(store, name, None, report).image
    assert removed
    assert [error is None for _, error in verification.verify(store)] == [True]
    assert len(store.layer_directories(image)) == 3


def test_a_download_is_pruned_unless_a_pull_needs_it(store: ImageStore) -> None:
    """One is being written, another is complete and read by two pulls, and the pull of the third has ended."""
    make(store, "tool", LAYERS[:1])
    content = b"x" * 1000
    held = partial.Partial(store, "sha256:" + "a" * 64, pytest.fail)
    left = partial.Partial(store, "sha256:" + "b" * 64, pytest.fail)
    complete = partial.Partial(store, digest(content), pytest.fail)
    for each in (held, left, complete):
        each.write(content)
    left.close()
    complete.receive(io.BytesIO(), len(content), lambda done: None)
    second = partial.Partial(store, digest(content), pytest.fail)
    assert (second.is_complete, second.is_stored) == (True, False)
    complete.close()
    assert partial.usage(store.root) == 3000
    assert store.prune(chosen=lambda image: True)[1] == 0
    assert store.prune()[1] == 1000
    held.close()
    second.close()
    assert store.prune()[1] == 2000
    assert os.listdir(f"{store.root}/partial") == []


def test_a_download_that_was_pruned_is_not_taken_for_the_file_in_its_place(store: ImageStore) -> None:
    content = b"x" * 1000
    lost = partial.Partial(store, digest(content), pytest.fail)
    lost.write(content)
    os.unlink(lost.path)
    other = partial.Partial(store, digest(content), pytest.fail)
    other.write(b"half")
    with store.staging() as stage, pytest.raises(FileNotFoundError):
        lost.link(stage.new_path())
    lost.close()
    assert Path(other.path).read_bytes() == b"half"
    other.close()
