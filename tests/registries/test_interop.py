"""The same images through skopeo, podman and docker: equal digests in both directions."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyctr_lite.engine.api.client import Client
from pyctr_lite.errors import NotFound
from pyctr_lite.images import image as images
from pyctr_lite.images import reference, verification
from pyctr_lite.images.store import ImageStore
from pyctr_lite.registries import pull, push
from tests.images.archives import digest
from tests.images.samples import LAYERS
from tests.images.test_oracles import podman, run  # noqa: F401
from tests.registries.servers import DockerRegistry
from tests.registries.test_push import make
from tests.registries.tokens import TokenRegistry

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Pyctr
    from tests.dockerd import DockerDaemon


def pulled(store: ImageStore, name: str) -> pull.Pulled:
    return pull.pull(store, reference.parse(name))


def test_a_program_pulls_pushes_and_runs_from_its_threads(
    pyctr: Pyctr, registry: DockerRegistry, repository: str
) -> None:
    registry.publish(repository, "v1", LAYERS)
    name = f"{registry.host}/{repository}:v1"
    states: list[str] = []

    def report(layer: str, state: str, done: int = 0, total: int = 0) -> None:
        states.append(state)

    with Client(str(pyctr.root)) as client, ThreadPoolExecutor(4) as pool:
        pulls = [pool.submit(client.pull, name, report=report) for _ in range(2)]
        run = pool.submit(client.run, "busybox", ["echo", "meanwhile"], remove=True)
        image, same = (each.result() for each in pulls)
        assert image.id == same.id == client.engine.images.get(name).id
        assert run.result().stdout == b"meanwhile\n"
        client.engine.images.tag("busybox", f"{registry.host}/{repository}/busybox")
        pushed = client.push(f"{registry.host}/{repository}/busybox", report)
        assert {"Pull complete", "Pushed"} <= set(states)
        accept = {"Accept": images.MANIFEST}
        url = f"/v2/{repository}/busybox/manifests/{pushed}"
        status, headers, _ = registry.request("HEAD", url, headers=accept)
        assert (status, headers["docker-content-digest"]) == (200, pushed)
        with pytest.raises(NotFound, match="manifest unknown"):
            client.pull(f"{registry.host}/{repository}:nope")


def test_skopeo_finds_in_a_registry_what_we_have_pushed_byte_for_byte(
    store: ImageStore, registry: DockerRegistry, repository: str, needs: Callable[[str], str], tmp_path: Path
) -> None:
    name = f"{registry.host}/{repository}:v1"
    make(store, name, LAYERS)
    pushed = push.push(store, reference.parse(name))
    copy = ["copy", "--src-tls-verify=false", f"docker://{name}", f"dir:{tmp_path}/theirs"]
    run(needs("skopeo"), *copy)
    manifest = (tmp_path / "theirs/manifest.json").read_bytes()
    assert digest(manifest) == pushed.digest
    config, *layers = [
        (tmp_path / "theirs" / each["digest"][7:]).read_bytes()
        for each in (json.loads(manifest)["config"], *json.loads(manifest)["layers"])
    ]
    assert config == Path(store.blob_path(digest(config))).read_bytes()
    assert [gzip.decompress(layer) for layer in layers] == LAYERS


@pytest.mark.parametrize(("format", "compression"), [("oci", "gzip"), ("oci", "zstd"), ("v2s2", "gzip")])
def test_what_skopeo_has_pushed_is_pulled_byte_for_byte(
    store: ImageStore,
    registry: DockerRegistry,
    repository: str,
    needs: Callable[[str], str],
    tmp_path: Path,
    format: str,
    compression: str,
) -> None:
    origin = ImageStore(str(tmp_path / "origin"))
    make(origin, "sample:v1", LAYERS)
    name = f"{registry.host}/{repository}:v1"
    run(
        needs("skopeo"), "copy", "--dest-tls-verify=false", f"--format={format}",
        f"--dest-compress-format={compression}", f"oci:{origin.layout}:sample:v1", f"docker://{name}",
    )  # fmt: skip
    found = pulled(store, name)
    raw = run(needs("skopeo"), "inspect", "--raw", "--tls-verify=false", f"docker://{name}")
    assert Path(store.blob_path(found.digest)).read_text() == raw
    diff_ids = [digest(layer) for layer in LAYERS]
    assert [layer.diff_id for layer in found.image.layers] == diff_ids
    assert all(error is None for _, error in verification.verify(store))


def test_podman_and_pyctr_lite_pull_what_the_other_has_pushed(
    store: ImageStore,
    registry: DockerRegistry,
    repository: str,
    podman: Callable[..., str],  # noqa: F811
    tmp_path: Path,
    no_credentials: Path,
) -> None:
    no_credentials.mkdir()
    (no_credentials / "config.json").write_text("{}")  # podman wants the file that DOCKER_CONFIG promises
    name = f"{registry.host}/{repository}:v1"
    make(store, name, LAYERS)
    pushed = push.push(store, reference.parse(name))
    podman("pull", "-q", "--tls-verify=false", name)
    assert podman("image", "inspect", "-f", "{{.Id}} {{.Digest}}", name).split() == [
        store.get(name).id[7:],
        pushed.digest,
    ]
    podman("tag", name, f"{registry.host}/{repository}/theirs:v1")
    podman("push", "-q", "--tls-verify=false", f"{registry.host}/{repository}/theirs:v1")
    other = ImageStore(str(tmp_path / "other"))
    assert pulled(other, f"{registry.host}/{repository}/theirs:v1").image.id == store.get(name).id
    assert all(error is None for _, error in verification.verify(other))


def test_docker_and_pyctr_lite_pull_what_the_other_has_pushed(
    store: ImageStore, registry: DockerRegistry, repository: str, docker_daemon: DockerDaemon, tmp_path: Path
) -> None:
    name = f"{registry.host}/{repository}:v1"
    make(store, name, LAYERS)
    pushed = push.push(store, reference.parse(name))
    lines = run(*docker_daemon.command("pull", name)).splitlines()
    assert f"Digest: {pushed.digest}" in lines
    assert f"Status: Downloaded newer image for {name}" in lines
    docker = docker_daemon.command("image", "inspect", "-f", "{{.Id}} {{.RepoDigests}}", name)
    assert run(*docker).split() == [store.get(name).id, f"[{registry.host}/{repository}@{pushed.digest}]"]
    theirs = f"{registry.host}/{repository}/theirs:v1"
    run(*docker_daemon.command("tag", name, theirs))
    answer = run(*docker_daemon.command("push", theirs))
    other = ImageStore(str(tmp_path / "other"))
    found = pulled(other, theirs)
    assert f"v1: digest: {found.digest} size: " in answer
    assert found.image.id == store.get(name).id
    assert os.listdir(f"{other.root}/partial") == []
    assert all(error is None for _, error in verification.verify(other))


def test_refusals_are_in_dockers_words(
    registry: DockerRegistry, repository: str, docker_daemon: DockerDaemon, pyctr: Pyctr, no_credentials: Path
) -> None:
    registry.publish(repository, "v1", LAYERS)
    name = f"{registry.host}/{repository}"
    tokens = TokenRegistry(registry, {"ann": "secret"})
    try:
        for words in (
            ["pull", f"{name}:nope"],
            ["pull", f"{name}/nothing/here"],
            ["pull", "-q", f"{name}:v1"],
            ["pull", f"{name}:v1"],
            ["pull", "-a", f"{name}:v1"],
            ["push", f"{name}:nope"],
            ["push", f"{name}/nothing/here"],
            ["run", "--pull", "never", f"{name}/nope"],
            ["manifest", "inspect", "--insecure", f"{name}:nope"],
            ["pull", f"{tokens.proxy.host}/private/tool"],
            ["login", "-u", "ann", "-p", "wrong", tokens.proxy.host],
            ["logout", tokens.proxy.host],
        ):
            theirs = subprocess.run(docker_daemon.command(*words), capture_output=True, text=True)
            ours = pyctr(*words)
            assert (ours.returncode, ours.stdout) == (theirs.returncode, theirs.stdout), words
            expected = theirs.stderr.partition("\nSee 'docker run")[0].removeprefix("docker: ")
            expected = expected.replace("Error response from daemon: ", "").strip().removesuffix(":latest.")
            assert expected in ours.stderr.replace("pyctr_lite: ", "", 1), words
    finally:
        tokens.stop()
