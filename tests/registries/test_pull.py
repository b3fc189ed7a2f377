"""Pull: what a registry sends is stored byte for byte, or refused by name; nothing is fetched twice."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zstandard

from pyctr_lite.errors import BrokenArchive, InvalidArgument, NotFound, PyctrError
from pyctr_lite.images import image as images
from pyctr_lite.images import platforms, reference, verification
from pyctr_lite.images.store import ImageStore
from pyctr_lite.registries import pull, transport
from tests.images.archives import config, digest, directory, entry, tar
from tests.registries.servers import DOCKER_LIST, DOCKER_MANIFEST, DockerRegistry, Fault, FaultProxy, Seen

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Pyctr

LAYERS = [
    tar(directory("etc"), entry("etc/release", b"one\n"), entry("etc/hidden", os.urandom(200_000))),
    tar(directory("etc"), entry("etc/.wh.hidden"), entry("etc/second", os.urandom(300_000))),
    tar(entry("top", b"three\n")),
]
HOST = {"os": "linux", "architecture": platforms.architecture()}
OTHER = {"os": "linux", "architecture": "s390x"}


def pulled(store: ImageStore, host: str, name: str, platform: str | None = None) -> pull.Pulled:
    return pull.pull(store, reference.parse(f"{host}/{name}"), platform)


def stored(store: ImageStore) -> list[str]:
    """Return the digests of the store's blobs."""
    path = Path(store.layout, "blobs/sha256")
    return [f"sha256:{name}" for name in sorted(os.listdir(path))] if path.is_dir() else []


def is_sound(store: ImageStore) -> bool:
    return all(error is None for _, error in verification.verify(store))


@pytest.mark.parametrize(
    "compress",
    [gzip.compress, lambda data: zstandard.ZstdCompressor().compress(data), bytes],
    ids=["gzip", "zstd", "plain"],
)
def test_an_image_is_pulled_byte_for_byte_and_unpacked(
    store: ImageStore, registry: DockerRegistry, repository: str, compress: Callable[[bytes], bytes]
) -> None:
    manifest = registry.publish(repository, "v1", LAYERS, compress)
    found = pulled(store, registry.host, f"{repository}:v1")
    assert (found.digest, found.is_new) == (digest(manifest), True)
    assert found.image.digest == digest(manifest)
    assert found.image.repo_digests == [f"{registry.host}/{repository}@{digest(manifest)}"]
    assert Path(store.blob_path(found.digest)).read_bytes() == manifest
    directories = [Path(path) for path in store.layer_directories(found.image)]
    assert (directories[0] / "etc/release").read_bytes() == b"one\n"
    assert (directories[2] / "top").read_bytes() == b"three\n"
    assert is_sound(store)
    assert os.listdir(f"{store.root}/staging") == os.listdir(f"{store.root}/partial") == []
    assert threading.active_count() == len([each for each in threading.enumerate() if "pull" not in each.name])


def test_dockers_media_types_are_kept(store: ImageStore, registry: DockerRegistry, repository: str) -> None:
    content = config(digest(LAYERS[0]))
    layer = registry.put_blob(repository, gzip.compress(LAYERS[0]))
    value = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            **registry.put_blob(repository, content),
        },
        "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", **layer}],
    }
    manifest = registry.put_manifest(repository, "v1", value)
    found = pulled(store, registry.host, f"{repository}:v1")
    assert found.image.digest == digest(manifest)
    assert store.descriptors()[0]["mediaType"] == DOCKER_MANIFEST


def test_an_image_that_is_up_to_date_costs_one_head(store: ImageStore, proxy: FaultProxy, repository: str) -> None:
    assert proxy.upstream is not None
    proxy.upstream.publish(repository, "v1", LAYERS)
    pulled(store, proxy.host, f"{repository}:v1")
    proxy.seen.clear()
    assert not pulled(store, proxy.host, f"{repository}:v1").is_new
    assert [each.method for each in proxy.seen if each.path != "/v2/"] == ["HEAD"]


def test_a_moved_tag_is_pulled_again_and_shared_layers_are_not(
    store: ImageStore, proxy: FaultProxy, repository: str
) -> None:
    assert proxy.upstream is not None
    proxy.upstream.publish(repository, "v1", LAYERS[:2])
    old = pulled(store, proxy.host, f"{repository}:v1")
    proxy.upstream.publish(repository, "v1", LAYERS)
    proxy.seen.clear()
    new = pulled(store, proxy.host, f"{repository}:v1")
    assert new.is_new
    assert new.image.id != old.image.id
    assert len(proxy.fetched()) == 2  # the config and the third layer
    assert len(store.layer_directories(new.image)) == 3
    assert store.get(old.image.id).references == []


def publish_index(
    registry: DockerRegistry, repository: str, tag: str, media_type: str = images.INDEX
) -> tuple[bytes, dict[str, bytes]]:
    """Publish an index of an image for this host and one for another platform; return it and their manifests."""
    manifests = {}
    entries = [
        {
            "mediaType": images.MANIFEST,
            "digest": digest(b"attestation"),
            "size": 3,
            "platform": {"os": "unknown", "architecture": "unknown"},
        }
    ]
    registry.request("PUT", f"/v2/{repository}/manifests/x", b"")
    for platform, layers in ((OTHER, LAYERS[2:]), (HOST, LAYERS[:2])):
        name = platform["architecture"]
        manifests[name] = registry.publish(repository, name, layers, **platform)
        manifest = manifests[name]
        entries.append(
            {
                "mediaType": images.MANIFEST,
                "digest": digest(manifest),
                "size": len(manifest),
                "platform": platform,
            }
        )
    value = {"schemaVersion": 2, "mediaType": media_type, "manifests": entries[1:]}
    return registry.put_manifest(repository, tag, value), manifests


@pytest.mark.parametrize("media_type", [images.INDEX, DOCKER_LIST])
def test_of_an_index_the_hosts_image_is_pulled_and_the_digest_is_the_indexs(
    store: ImageStore, registry: DockerRegistry, repository: str, media_type: str
) -> None:
    index, manifests = publish_index(registry, repository, "v1", media_type)
    found = pulled(store, registry.host, f"{repository}:v1")
    assert found.digest == digest(index)
    assert found.image.digest == digest(manifests[HOST["architecture"]])
    name = f"{registry.host}/{repository}"
    assert found.image.repo_digests == [f"{name}@{digest(index)}"]
    for known in (f"{name}@{digest(index)}", f"{name}@{found.image.digest}", digest(index)):
        assert store.get(known).id == found.image.id, known
    store.prune()
    assert digest(index) in stored(store)
    assert is_sound(store)
    assert not pulled(store, registry.host, f"{repository}:v1").is_new
    store.remove(f"{name}:v1")
    assert stored(store) == []


def test_another_platform_is_pulled_on_demand(
    store: ImageStore, registry: DockerRegistry, repository: str
) -> None:
    _, manifests = publish_index(registry, repository, "v1")
    found = pulled(store, registry.host, f"{repository}:v1", "linux/s390x")
    assert found.image.digest == digest(manifests["s390x"])
    assert store.get(f"{registry.host}/{repository}:v1").id == found.image.id
    with pytest.raises(NotFound, match="no matching manifest for linux/riscv64 in the manifest list entries"):
        pulled(store, registry.host, f"{repository}:v1", "linux/riscv64")
    with pytest.raises(NotFound, match="does not provide the specified platform"):
        pulled(store, registry.host, f"{repository}:s390x", "linux/riscv64")


def test_an_image_pulled_by_digest_has_a_repository_and_no_tag(
    store: ImageStore, registry: DockerRegistry, repository: str
) -> None:
    index, _ = publish_index(registry, repository, "v1")
    name = f"{registry.host}/{repository}@{digest(index)}"
    found = pulled(store, registry.host, f"{repository}@{digest(index)}")
    assert (found.image.references, found.image.repo_digests) == ([], [name])
    assert store.get(name).id == found.image.id
    assert store.remove(name)[0] == ("Untagged", name)
    assert store.list() == []


def flip(body: bytes) -> bytes:
    return body[:-9] + bytes([body[-9] ^ 1]) + body[-8:]


@pytest.mark.parametrize(
    "change", [flip, lambda body: body[:-1], lambda body: body + b"x"], ids="flip cut more".split()
)
@pytest.mark.parametrize("victim", ["manifest", "config", "layer"])
def test_a_registry_that_lies_is_refused_by_the_blobs_name(
    store: ImageStore,
    proxy: FaultProxy,
    repository: str,
    victim: str,
    change: Callable[[bytes], bytes],
) -> None:
    assert proxy.upstream is not None
    manifest = proxy.upstream.publish(repository, "v1", LAYERS)
    value = json.loads(manifest)
    lie = {
        "manifest": "v1",
        "config": value["config"]["digest"],
        "layer": value["layers"][1]["digest"],
    }[victim]

    def fault(request: Seen) -> Fault | None:
        if not request.path.endswith(lie):
            return None
        # A lie about a part, too: the rest of a blob that ended early is empty.
        return Fault(change=change if "range" not in request.headers else lambda body: b"")

    proxy.fault = fault
    with pytest.raises(PyctrError, match=lie):
        pulled(store, proxy.host, f"{repository}:v1")
    assert store.list() == []
    assert lie not in stored(store)
    proxy.fault = lambda request: None
    pulled(store, proxy.host, f"{repository}:v1")
    assert is_sound(store)


def test_a_blob_that_never_ends_is_refused_at_the_promised_size(
    store: ImageStore, proxy: FaultProxy, repository: str
) -> None:
    assert proxy.upstream is not None
    manifest = json.loads(proxy.upstream.publish(repository, "v1", LAYERS))
    layer = manifest["layers"][0]
    proxy.fault = lambda request: (
        Fault(change=lambda body: body + bytes(64 << 20)) if layer["digest"] in request.path else None
    )
    with pytest.raises(BrokenArchive, match=f"{layer['digest']}.* more than {layer['size']} bytes"):
        pulled(store, proxy.host, f"{repository}:v1")
    assert layer["digest"].replace(":", "-") not in os.listdir(f"{store.root}/partial")


def test_a_config_with_wrong_diff_ids_is_refused(
    store: ImageStore, registry: DockerRegistry, repository: str
) -> None:
    layer = registry.put_blob(repository, gzip.compress(LAYERS[0]))
    value = {
        "schemaVersion": 2,
        "mediaType": images.MANIFEST,
        "config": {"mediaType": images.CONFIG, **registry.put_blob(repository, config(digest(LAYERS[1])))},
        "layers": [{"mediaType": f"{images.LAYER}+gzip", **layer}],
    }
    registry.put_manifest(repository, "v1", value)
    with pytest.raises(BrokenArchive, match=f"unpacked layer {layer['digest']}"):
        pulled(store, registry.host, f"{repository}:v1")
    assert store.list() == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schemaVersion": 1, "fsLayers": []}, "schema 1"),
        ({"layers": [{"mediaType": f"{images.LAYER}+gzip", "digest": digest(b""), "size": 0, "urls": ["http://x/"]}]},
         "not in the registry, but at http://x/"),
        ({"artifactType": "application/x"}, "is not an image, but application/x"),
        ({"config": None}, "manifest: config"),
        ({"layers": [{"mediaType": images.LAYER, "digest": "sha256:../../../etc", "size": 1}]}, "digest"),
    ],
)  # fmt: skip
def test_a_manifest_that_cannot_be_used_is_refused(
    store: ImageStore, proxy: FaultProxy, repository: str, change: dict[str, object], message: str
) -> None:
    assert proxy.upstream is not None
    value = json.loads(proxy.upstream.publish(repository, "v1", LAYERS[:1]))
    content = json.dumps({**value, **change}).encode()
    proxy.fault = lambda request: (
        Fault(change=lambda body: content, headers={"docker-content-digest": digest(content)})
        if "manifests" in request.path
        else None
    )
    with pytest.raises((InvalidArgument, BrokenArchive), match=message):
        pulled(store, proxy.host, f"{repository}:v1")


def test_a_missing_image_is_dockers_message(store: ImageStore, registry: DockerRegistry, repository: str) -> None:
    registry.publish(repository, "v1", LAYERS[:1])
    for name in (f"{repository}:v2", f"{repository}x:v1"):
        with pytest.raises(NotFound) as raised:
            pulled(store, registry.host, name)
        expected = f"manifest for {registry.host}/{name} not found: manifest unknown: manifest unknown"
        assert raised.value.message == expected


def test_a_registry_that_does_not_answer_is_one_clear_line(store: ImageStore) -> None:
    with pytest.raises(transport.TransportError) as raised:
        pulled(store, "127.0.0.1:1", "tool")
    assert raised.value.message == 'Get "https://127.0.0.1:1/v2/": connection refused'


# --- faults on the way ----------------------------------------------------------------------------------


@pytest.mark.parametrize("answers", [[503], [429, 500], [502, 502, 504]])
def test_a_busy_registry_is_asked_again(
    store: ImageStore, proxy: FaultProxy, repository: str, answers: list[int]
) -> None:
    assert proxy.upstream is not None
    proxy.upstream.publish(repository, "v1", LAYERS[:1])
    waiting = list(answers)

    def fault(request: Seen) -> Fault | None:
        if "manifests" in request.path and waiting:
            return Fault(waiting.pop(0), {"retry-after": "0"} if waiting else {}, b"busy")
        return None

    proxy.fault = fault
    assert pulled(store, proxy.host, f"{repository}:v1").is_new
    statuses = [each.status for each in proxy.seen if "manifests" in each.path]
    assert statuses == [*answers, 200]


def test_a_registry_that_asks_for_too_long_a_wait_is_not_asked_again(store: ImageStore, proxy: FaultProxy) -> None:
    body = json.dumps({"errors": [{"code": "TOOMANYREQUESTS", "message": "You have reached your limit."}]})
    proxy.fault = lambda request: Fault(429, {"retry-after": "86400"}, body.encode())
    with pytest.raises(PyctrError) as raised:
        pulled(store, proxy.host, "tool")
    assert raised.value.message == "toomanyrequests: You have reached your limit."
    assert "login" in raised.value.hint
    assert len([each for each in proxy.seen if "manifests" in each.path]) == 1


def test_a_download_that_is_cut_goes_on_where_it_was(
    store: ImageStore, proxy: FaultProxy, repository: str
) -> None:
    assert proxy.upstream is not None
    layer = json.loads(proxy.upstream.publish(repository, "v1", LAYERS))["layers"][1]
    cuts = [70_000, 100_000]

    def fault(request: Seen) -> Fault | None:
        return Fault(cut=cuts.pop(0)) if layer["digest"] in request.path and cuts else None

    proxy.fault = fault
    assert pulled(store, proxy.host, f"{repository}:v1").is_new
    starts = [each.headers.get("range") for each in proxy.seen if layer["digest"] in each.path]
    assert starts == [None, "bytes=70000-", "bytes=170000-"]
    assert is_sound(store)


def test_a_document_that_is_cut_is_asked_for_again(store: ImageStore, proxy: FaultProxy, repository: str) -> None:
    assert proxy.upstream is not None
    manifest = proxy.upstream.publish(repository, "v1", LAYERS[:1])
    victims = ["manifests/v1", json.loads(manifest)["config"]["digest"]]

    def fault(request: Seen) -> Fault | None:
        if victims and victims[0] in request.path:
            victims.pop(0)
            return Fault(cut=20)
        return None

    proxy.fault = fault
    assert pulled(store, proxy.host, f"{repository}:v1").is_new
    assert victims == []


def test_a_registry_without_head_is_asked_by_get(store: ImageStore, proxy: FaultProxy, repository: str) -> None:
    assert proxy.upstream is not None
    proxy.upstream.publish(repository, "v1", LAYERS[:1])
    pulled(store, proxy.host, f"{repository}:v1")
    proxy.fault = lambda request: Fault(405, {}, b"") if request.method == "HEAD" else None
    assert not pulled(store, proxy.host, f"{repository}:v1").is_new


def test_a_registry_without_parts_sends_all_again(store: ImageStore, proxy: FaultProxy, repository: str) -> None:
    assert proxy.upstream is not None
    layer = json.loads(proxy.upstream.publish(repository, "v1", LAYERS))["layers"][1]
    whole = Path(proxy.upstream.directory, "data/docker/registry/v2/blobs/sha256")
    content = (whole / layer["digest"][7:9] / layer["digest"][7:] / "data").read_bytes()
    cuts = [70_000]

    def fault(request: Seen) -> Fault | None:
        if layer["digest"] not in request.path:
            return None
        return Fault(cut=cuts.pop()) if cuts else Fault(200, {"accept-ranges": "none"}, content)

    proxy.fault = fault
    assert pulled(store, proxy.host, f"{repository}:v1").is_new
    assert is_sound(store)


def test_a_layer_that_changes_between_two_answers_is_refused(
    store: ImageStore, proxy: FaultProxy, repository: str
) -> None:
    """The unpacker has read the beginning of the first answer, and the second has the right digest as a whole."""
    assert proxy.upstream is not None
    layer = json.loads(proxy.upstream.publish(repository, "v1", LAYERS[:1], bytes))["layers"][0]
    wrong = LAYERS[0].replace(b"one\n", b"two\n")

    def fault(request: Seen) -> Fault | None:
        if layer["digest"] not in request.path:
            return None
        return Fault(200, {}, LAYERS[0]) if "range" in request.headers else Fault(200, {}, wrong, cut=100_000)

    proxy.fault = fault
    with pytest.raises(BrokenArchive, match=f"{layer['digest']} failed verification"):
        pulled(store, proxy.host, f"{repository}:v1")
    assert not os.path.isdir(store.layers) or os.listdir(store.layers) == []


def test_a_pull_that_failed_leaves_what_came_and_the_next_goes_on(
    store: ImageStore, proxy: FaultProxy, repository: str
) -> None:
    assert proxy.upstream is not None
    layers = json.loads(proxy.upstream.publish(repository, "v1", LAYERS))["layers"]
    victim = layers[1]["digest"]
    proxy.fault = lambda request: (
        Fault(cut=0 if "range" in request.headers else 123_456) if victim in request.path else None
    )
    with pytest.raises(transport.TransportError, match=rf"{victim}: interrupted after 123456 of"):
        pulled(store, proxy.host, f"{repository}:v1")
    assert store.list() == []
    assert Path(store.root, "partial", victim.replace(":", "-")).stat().st_size == 123_456
    here = {each["digest"] for each in layers if each["digest"] in stored(store)}
    proxy.seen.clear()
    proxy.fault = lambda request: None
    assert pulled(store, proxy.host, f"{repository}:v1").is_new
    fetched = [each for each in proxy.fetched("/blobs/sha256") if victim in each.path]
    assert [each.headers["range"] for each in fetched] == ["bytes=123456-"]
    assert not [each for each in proxy.fetched() if each.path.rpartition("/")[2] in here]
    assert os.listdir(f"{store.root}/partial") == []


def test_a_partial_download_that_was_changed_is_fetched_again(
    store: ImageStore, registry: DockerRegistry, repository: str
) -> None:
    layer = json.loads(registry.publish(repository, "v1", LAYERS))["layers"][0]
    partial = Path(store.root, "partial", layer["digest"].replace(":", "-"))
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"not this" * 100)
    with pytest.raises(BrokenArchive, match="failed verification"):
        pulled(store, registry.host, f"{repository}:v1")
    assert pulled(store, registry.host, f"{repository}:v1").is_new
    assert is_sound(store)


def test_two_pulls_at_once_fetch_each_layer_once(store: ImageStore, proxy: FaultProxy, repository: str) -> None:
    assert proxy.upstream is not None
    proxy.upstream.publish(repository, "v1", LAYERS)
    both = threading.Barrier(2)
    done: list[pull.Pulled] = []

    def run() -> None:
        both.wait()
        done.append(pulled(ImageStore(store.root), proxy.host, f"{repository}:v1"))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 2
    layers = {layer.digest for layer in done[0].image.layers}
    fetched = [each.path.rpartition("/")[2] for each in proxy.fetched()]
    assert sorted(digest for digest in fetched if digest in layers) == sorted(layers)
    assert is_sound(store)


def test_a_redirect_to_another_host_does_not_get_the_authorization(
    store: ImageStore, proxy: FaultProxy, registry: DockerRegistry, repository: str, no_credentials: Path
) -> None:
    registry.publish(repository, "v1", LAYERS[:1])
    elsewhere = FaultProxy(registry)
    try:
        no_credentials.mkdir()
        (no_credentials / "config.json").write_text(json.dumps({"auths": {proxy.host: {"auth": "dXNlcjpwYXNz"}}}))

        def fault(request: Seen) -> Fault | None:
            if "authorization" not in request.headers:
                return Fault(401, {"www-authenticate": 'Basic realm="x"'}, b"")
            if "/blobs/" in request.path:
                return Fault(307, {"location": f"http://{elsewhere.host}{request.path}?signature=1"}, b"")
            return None

        proxy.fault = fault
        assert pulled(store, proxy.host, f"{repository}:v1").is_new
        assert {each.headers.get("authorization") for each in proxy.seen if each.status != 401} == {
            "Basic dXNlcjpwYXNz"
        }
        assert len(elsewhere.fetched()) == 2
        assert not [each for each in elsewhere.seen if "authorization" in each.headers]
    finally:
        elsewhere.stop()


def test_a_redirect_that_never_ends_is_an_error(store: ImageStore, proxy: FaultProxy) -> None:
    proxy.fault = lambda request: Fault(302, {"location": request.path}, b"") if "tool" in request.path else None
    with pytest.raises(transport.TransportError, match="redirects"):
        pulled(store, proxy.host, "tool")


def test_a_full_disk_leaves_no_partial_download(
    store: ImageStore, registry: DockerRegistry, repository: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.publish(repository, "v1", LAYERS)

    def full(fd: int, data: object, offset: int) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space left"):
        pulled(store, registry.host, f"{repository}:v1")
    assert os.listdir(f"{store.root}/partial") == []
    assert store.list() == []


def test_progress_is_reported_for_each_layer(store: ImageStore, registry: DockerRegistry, repository: str) -> None:
    registry.publish(repository, "v1", LAYERS)
    seen: dict[str, list[str]] = {}
    counts: set[int] = set()

    def report(name: str, state: str, done: int, total: int) -> None:
        assert done <= total
        if state == "Downloading":
            counts.add(done)
        if state not in seen.setdefault(name, []):
            seen[name].append(state)

    pull.pull(store, reference.parse(f"{registry.host}/{repository}:v1"), None, report)
    assert len(seen) == 3
    for states in seen.values():
        assert [state for state in states if state != "Extracting"] == [
            "Pulling fs layer", "Downloading", "Verifying Checksum", "Download complete", "Pull complete",
        ]  # fmt: skip
    assert len(counts) > 4, "a layer of 300,000 bytes comes in several parts"


def test_a_pull_that_is_killed_goes_on_where_it_was(
    registry: DockerRegistry, proxy: FaultProxy, repository: str, pyctr: Pyctr
) -> None:
    layers = json.loads(registry.publish(repository, "v1", LAYERS))["layers"]
    victim, size = layers[1]["digest"], layers[1]["size"]
    partial = pyctr.root / "partial" / victim.replace(":", "-")
    stops = [size // 10, size * 4 // 10, size * 7 // 10, size * 9 // 10]
    name = f"{proxy.host}/{repository}:v1"
    processes: list[subprocess.Popen[bytes]] = []

    def kill(after: int) -> None:
        while partial.stat().st_size < after:
            os.sched_yield()
        processes[-1].kill()
        processes[-1].wait()

    def fault(request: Seen) -> Fault | None:
        if victim not in request.path or not stops:
            return None
        start = int(request.headers.get("range", "bytes=0-")[6:-1])
        stop = stops.pop(0)
        return Fault(pause=stop - start, midway=lambda: kill(stop))

    proxy.fault = fault
    for _ in range(4):
        processes.append(subprocess.Popen(pyctr.command("pull", name), stdout=subprocess.DEVNULL))
        assert processes[-1].wait() == -signal.SIGKILL
    pyctr("pull", name, check=True)
    assert pyctr("image", "verify", name).stdout == f"{name}: OK\n"
    assert os.listdir(pyctr.root / "staging") == os.listdir(pyctr.root / "partial") == []
    fetched = [each for each in proxy.fetched() if victim in each.path]
    starts = [each.headers.get("range", "bytes=0-") for each in fetched]
    assert starts == [
        f"bytes={start}-" for start in (0, size // 10, size * 4 // 10, size * 7 // 10, size * 9 // 10)
    ]
