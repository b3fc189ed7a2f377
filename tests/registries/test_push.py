"""Push: the registry gets the stored bytes, whatever happens on the way; nothing is sent twice."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyctr_lite.errors import BrokenArchive, NotFound, PyctrError
from pyctr_lite.images import image as images
from pyctr_lite.images import reference, verification
from pyctr_lite.images.store import ImageStore
from pyctr_lite.registries import pull, push, transport, upload
from tests.images.archives import config, digest, directory, entry, tar
from tests.registries.servers import DockerRegistry, Fault, FaultProxy, Seen

if TYPE_CHECKING:
    from tests.conftest import Pyctr

LAYERS = [
    tar(directory("etc"), entry("etc/release", b"one\n"), entry("etc/random", os.urandom(300_000))),
    tar(directory("etc"), entry("etc/second", b"two\n")),
]


def make(store: ImageStore, name: str, layers: list[bytes] = LAYERS) -> str:
    """Add an image of uncompressed layers to the store, and return its ID."""
    with store.staging() as stage:
        new = []
        for layer in layers:
            with stage.open_blob() as blob:
                blob.write(layer)
            new.append(stage.plain_layer(blob))
        value = json.loads(config(*(digest(layer) for layer in layers)))
        return store.add_image(value, new, [name]).id


def pushed(store: ImageStore, name: str) -> push.Pushed:
    return push.push(store, reference.parse(name))


def blobs(proxy: FaultProxy, method: str) -> list[Seen]:
    return [each for each in proxy.seen if each.method == method and "/blobs/" in each.path]


def test_a_pulled_image_is_pushed_byte_for_byte(
    store: ImageStore, registry: DockerRegistry, repository: str
) -> None:
    manifest = registry.publish(repository, "v1", LAYERS)
    pull.pull(store, reference.parse(f"{registry.host}/{repository}:v1"))
    store.tag(f"{registry.host}/{repository}:v1", f"{registry.host}/{repository}/copy:v2")
    assert pushed(store, f"{registry.host}/{repository}/copy:v2") == (digest(manifest), len(manifest))
    accept = {"Accept": images.MANIFEST}
    status, _, content = registry.request("GET", f"/v2/{repository}/copy/manifests/v2", headers=accept)
    assert (status, content) == (200, manifest)


def test_an_image_of_our_own_is_compressed_and_comes_back_the_same(
    store: ImageStore, registry: DockerRegistry, repository: str, tmp_path: Path
) -> None:
    name = f"{registry.host}/{repository}:v1"
    id = make(store, name)
    before = store.get(name)
    first = pushed(store, name)
    image = store.get(name)
    assert (image.id, image.digest, image.size) == (id, before.digest, before.size)
    assert image.repo_digests == [f"{registry.host}/{repository}@{first.digest}"]
    assert store.get(image.repo_digests[0]).id == id
    assert len(os.listdir(f"{store.layout}/blobs/sha256")) == 5  # of the pushed image, only the manifest is new
    assert all(error is None for _, error in verification.verify(store))
    assert pushed(store, name) == first
    other = ImageStore(str(tmp_path / "other"))
    found = pull.pull(other, reference.parse(name))
    assert (found.image.id, found.digest) == (id, first.digest)
    assert Path(other.layer_directories(found.image)[0], "etc/release").read_bytes() == b"one\n"
    assert [layer.media_type.rpartition("+")[2] for layer in found.image.layers] == ["gzip", "gzip"]
    assert not pull.pull(store, reference.parse(name)).is_new
    store.remove(name)
    assert os.listdir(f"{store.layout}/blobs/sha256") == []


def test_compressing_a_layer_gives_the_same_bytes_each_time(
    store: ImageStore, registry: DockerRegistry, repository: str, tmp_path: Path
) -> None:
    other = ImageStore(str(tmp_path / "other"))
    name = f"{registry.host}/{repository}:v1"
    make(store, name)
    make(other, name)
    assert pushed(store, name) == pushed(other, name)


def test_what_is_there_is_not_sent(store: ImageStore, proxy: FaultProxy, repository: str) -> None:
    name = f"{proxy.host}/{repository}:v1"
    make(store, name)
    pushed(store, name)
    sent = len(blobs(proxy, "PATCH"))
    assert sent == 3
    proxy.seen.clear()
    states: list[str] = []
    push.push(store, reference.parse(name), lambda name, state, done, total: states.append(state))
    assert blobs(proxy, "PATCH") == blobs(proxy, "POST") == []
    assert states == ["Preparing", "Preparing", "Layer already exists", "Layer already exists"]  # not compressed


def test_a_layer_of_another_repository_is_mounted(store: ImageStore, proxy: FaultProxy, repository: str) -> None:
    name = f"{proxy.host}/{repository}:v1"
    make(store, name)
    pushed(store, name)
    store.tag(name, f"{proxy.host}/{repository}/copy:v1")
    proxy.seen.clear()
    states: list[str] = []
    copy = reference.parse(f"{proxy.host}/{repository}/copy:v1")
    push.push(store, copy, lambda name, state, done, total: states.append(state))
    assert states.count(f"Mounted from {repository}") == 2
    assert len(blobs(proxy, "PATCH")) == 1  # the config
    assert "Compressing" not in states


def test_a_layer_of_another_manifest_of_the_image_is_mounted(
    store: ImageStore, proxy: FaultProxy, repository: str
) -> None:
    """Two repositories have the image, with layers that are compressed in two ways."""
    assert proxy.upstream is not None
    for number in (1, 2):
        proxy.upstream.publish(f"{repository}/{number}", "v1", LAYERS, partial(gzip.compress, mtime=number))
        pull.pull(store, reference.parse(f"{proxy.host}/{repository}/{number}:v1"))
    for number in (1, 2):
        copy = f"{proxy.host}/{repository}/copy{number}:v1"
        store.tag(f"{proxy.host}/{repository}/{number}:v1", copy)
        states: list[str] = []
        push.push(store, reference.parse(copy), lambda name, state, done, total, to=states: to.append(state))
        assert states.count(f"Mounted from {repository}/{number}") == 2


def test_a_layer_that_another_image_has_compressed_is_sent_as_it_is(
    store: ImageStore, registry: DockerRegistry, repository: str
) -> None:
    registry.publish(repository, "v1", LAYERS, partial(gzip.compress, mtime=1))
    image = pull.pull(store, reference.parse(f"{registry.host}/{repository}:v1")).image
    name = f"localhost:{registry.port}/{repository}/other:v1"
    make(store, name, [*LAYERS, tar(entry("more", b"four"))])
    states: list[str] = []
    push.push(store, reference.parse(name), lambda name, state, done, total: states.append(f"{state} {name}"))
    compressed = {state for state in states if state.startswith("Compressing")}
    assert len(compressed) == 1
    assert not any(layer.diff_id[7:19] in state for layer in image.layers for state in compressed)


def test_a_blob_is_sent_in_chunks(
    store: ImageStore, proxy: FaultProxy, repository: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "CHUNK", 100_000)
    name = f"{proxy.host}/{repository}:v1"
    make(store, name, LAYERS[:1])
    pushed(store, name)
    ranges = [each.headers["content-range"] for each in blobs(proxy, "PATCH")]
    assert ranges[:2] == ["0-99999", "100000-199999"]
    assert len(ranges) == 5


@pytest.mark.parametrize("kind", ["answer lost", "connection lost", "server error"])
def test_an_upload_that_is_cut_goes_on_where_the_registry_is(
    store: ImageStore, proxy: FaultProxy, repository: str, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The registry has stored the chunk, or has not: only it knows."""
    monkeypatch.setattr(upload, "CHUNK", 100_000)
    cuts = [2]

    def fault(request: Seen) -> Fault | None:
        if request.method == "PATCH" and cuts and request.headers["content-range"].startswith("100000-"):
            cuts.pop()
            return {"answer lost": Fault(hang_up=True, forward=True), "connection lost": Fault(hang_up=True)}.get(
                kind, Fault(503, {}, b"")
            )
        return None

    proxy.fault = fault
    name = f"{proxy.host}/{repository}:v1"
    make(store, name, LAYERS[:1])
    pushed(store, name)
    sent = [each.headers["content-range"] for each in blobs(proxy, "PATCH")]
    # If only the answer is lost, docker-registry does not go on with the upload: it starts anew.
    assert sent.count("0-99999") == (2 if kind == "answer lost" else 1)
    assert sent.count("100000-199999") == 2


@pytest.mark.parametrize("status", [405, 413])
def test_a_registry_without_chunks_gets_the_whole_blob(
    store: ImageStore, proxy: FaultProxy, repository: str, status: int
) -> None:
    proxy.fault = lambda request: Fault(status, {}, b"") if request.method == "PATCH" else None
    name = f"{proxy.host}/{repository}:v1"
    make(store, name, LAYERS[:1])
    pushed(store, name)
    sizes = [len(each.body) for each in blobs(proxy, "PUT")]
    assert len(sizes) == 2
    assert max(sizes) > 300_000


def test_a_damaged_blob_is_not_pushed(store: ImageStore, registry: DockerRegistry, repository: str) -> None:
    name = f"{registry.host}/{repository}:v1"
    make(store, name)
    path = Path(store.blob_path(store.get(name).layers[0].digest))
    path.write_bytes(b"x" + path.read_bytes()[1:])
    with pytest.raises(BrokenArchive, match="wrong digest"):
        pushed(store, name)


def test_the_registry_refuses_a_compressed_blob_that_is_damaged(
    store: ImageStore, registry: DockerRegistry, repository: str
) -> None:
    registry.publish(repository, "v1", LAYERS, lambda data: gzip.compress(data, mtime=1))
    pull.pull(store, reference.parse(f"{registry.host}/{repository}:v1"))
    other = f"localhost:{registry.port}/{repository}/copy:v1"  # another registry, as far as anyone knows
    store.tag(f"{registry.host}/{repository}:v1", other)
    path = Path(store.blob_path(store.get(other).layers[0].digest))
    path.write_bytes(b"x" + path.read_bytes()[1:])
    with pytest.raises(PyctrError, match="digest invalid"):
        pushed(store, other)
    assert registry.request("GET", f"/v2/{repository}/copy/manifests/v1")[0] == 404


def test_an_unknown_name_is_dockers_message(store: ImageStore, registry: DockerRegistry) -> None:
    make(store, "tool:v1")
    with pytest.raises(NotFound, match="An image does not exist locally with the tag: nope"):
        pushed(store, "nope")
    with pytest.raises(NotFound, match="tag does not exist: tool:v2"):
        pushed(store, "tool:v2")
    with pytest.raises(NotFound):
        push.tags(store, reference.parse("nope"))
    assert push.tags(store, reference.parse("tool")) == ["v1"]


def test_a_registry_that_is_gone_ends_a_push_with_one_error(store: ImageStore) -> None:
    make(store, "127.0.0.1:1/tool:v1")
    with pytest.raises(transport.TransportError, match="connection refused"):
        pushed(store, "127.0.0.1:1/tool:v1")


def test_a_push_that_is_killed_leaves_no_manifest_and_the_next_one_ends_it(
    registry: DockerRegistry, proxy: FaultProxy, repository: str, pyctr: Pyctr
) -> None:
    registry.publish(f"{repository}/origin", "v1", LAYERS)
    name = f"{proxy.host}/{repository}:v1"
    pyctr("pull", "-q", f"{registry.host}/{repository}/origin:v1", check=True)
    pyctr("tag", f"{registry.host}/{repository}/origin:v1", name, check=True)
    processes: list[subprocess.Popen[bytes]] = []
    steps = [("PATCH", 0), ("PUT", 2)]

    def fault(request: Seen) -> Fault | None:
        if not steps or [each.method for each in proxy.seen].count(steps[0][0]) <= steps[0][1]:
            return None
        if request.method != steps[0][0]:
            return None
        steps.pop(0)
        processes[-1].kill()
        processes[-1].wait()
        return Fault(hang_up=True)

    proxy.fault = fault
    for _ in range(2):
        processes.append(subprocess.Popen(pyctr.command("push", "-q", name), stdout=subprocess.DEVNULL))
        assert processes[-1].wait() == -signal.SIGKILL
        assert registry.request("GET", f"/v2/{repository}/manifests/v1")[0] == 404
    done = pyctr("push", name, check=True)
    assert done.stdout.count("Layer already exists") >= 1
    assert registry.request("GET", f"/v2/{repository}/manifests/v1", headers={"Accept": images.MANIFEST})[0] == 200
    assert os.listdir(pyctr.root / "staging") == []
