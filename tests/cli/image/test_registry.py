"""The verbs on registries, end to end: Docker's lines, its messages and exit codes."""

from __future__ import annotations

import os
import pty
import subprocess
from typing import TYPE_CHECKING

from tests.images.archives import digest, directory, entry, tar

if TYPE_CHECKING:
    from tests.conftest import Pyctr
    from tests.registries.servers import DockerRegistry

LAYERS = [tar(directory("etc"), entry("etc/release", b"one\n")), tar(entry("top", os.urandom(100_000)))]


def test_pull_prints_dockers_lines(pyctr: Pyctr, registry: DockerRegistry, repository: str) -> None:
    manifest = registry.publish(repository, "v1", LAYERS)
    name = f"{registry.host}/{repository}:v1"
    lines = pyctr("pull", name, check=True).stdout.splitlines()
    assert lines[0] == f"v1: Pulling from {repository}"
    assert lines[-3:] == [
        f"Digest: {digest(manifest)}",
        f"Status: Downloaded newer image for {name}",
        name,
    ]
    layers = [line.partition(": ")[2] for line in lines[1:-3]]
    assert sorted(set(layers)) == ["Download complete", "Pull complete", "Pulling fs layer", "Verifying Checksum"]
    assert len(layers) == 8
    assert pyctr("image", "pull", name).stdout.splitlines() == [
        f"v1: Pulling from {repository}",
        f"Digest: {digest(manifest)}",
        f"Status: Image is up to date for {name}",
        name,
    ]
    assert pyctr("pull", "-q", name).stdout == f"{name}\n"
    shown = pyctr("images", "--digests", "--format", "{{.Repository}} {{.Tag}} {{.Digest}}").stdout
    assert f"{registry.host}/{repository} v1 {digest(manifest)}\n" in shown


def test_an_image_pulled_by_digest_is_listed_without_a_tag(
    pyctr: Pyctr, registry: DockerRegistry, repository: str
) -> None:
    wanted = f"{registry.host}/{repository}@{digest(registry.publish(repository, 'v1', LAYERS))}"
    assert pyctr("pull", wanted, check=True).stdout.endswith(f"\n{wanted}\n")
    listed = pyctr("images", "--digests", "--format", "{{.Repository}} {{.Tag}}", f"{registry.host}/{repository}")
    assert listed.stdout == f"{registry.host}/{repository} <none>\n"
    assert pyctr("image", "inspect", "-f", "{{.RepoTags}} {{.RepoDigests}}", wanted).stdout == f"[] [{wanted}]\n"
    assert pyctr("rmi", wanted, check=True).stdout.startswith(f"Untagged: {wanted}\nDeleted: ")


def test_pull_all_tags(pyctr: Pyctr, registry: DockerRegistry, repository: str) -> None:
    for number, tag in enumerate(("v1", "v2", "v3")):
        registry.publish(repository, tag, LAYERS[: number + 1])
    assert pyctr("pull", "-a", f"{registry.host}/{repository}", check=True).stdout.count("Digest: ") == 3
    listed = pyctr("images", "--format", "{{.Tag}}", f"{registry.host}/{repository}").stdout
    assert sorted(listed.split()) == ["v1", "v2", "v3"]
    refused = pyctr("pull", "-a", f"{registry.host}/{repository}:v1")
    assert (refused.returncode, refused.stderr) == (1, "pyctr_lite: tag can't be used with --all-tags/-a\n")


def test_a_missing_image_is_one_line_and_exit_code_1(
    pyctr: Pyctr, registry: DockerRegistry, repository: str
) -> None:
    done = pyctr("pull", f"{registry.host}/{repository}")
    assert done.returncode == 1
    assert done.stderr == (
        f"pyctr_lite: manifest for {registry.host}/{repository}:latest not found: "
        "manifest unknown: manifest unknown\n"
    )
    assert done.stdout.splitlines()[0] == "Using default tag: latest"


def test_a_terminal_shows_a_line_for_each_layer(pyctr: Pyctr, registry: DockerRegistry, repository: str) -> None:
    registry.publish(repository, "v1", LAYERS)
    leader, follower = pty.openpty()
    done = subprocess.Popen(
        pyctr.command("pull", f"{registry.host}/{repository}:v1"),
        stdout=follower,
        stdin=follower,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(follower)
    output = b""
    while data := _read(leader):
        output += data
    os.close(leader)
    assert done.wait() == 0
    assert output.count(b"Pull complete") == 2
    assert b"\033[2A\033[2K\r" in output
    assert b"\033[1A\033[2K\r" in output
    assert b"Status: Downloaded newer image" in output


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 1 << 16)
    except OSError:  # the other end is closed
        return b""
