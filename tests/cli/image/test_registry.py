"""The verbs on registries, end to end: Docker's lines, its messages and exit codes."""

from __future__ import annotations

import base64
import json
import os
import pty
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.images.archives import digest, directory, entry, tar
from tests.registries.servers import DockerRegistry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Pyctr

SECRET = "$2y$04$2LJ8B4ku0DXlx1/O71lWRO.iLy3lehNLerOYrt4dXAueZTVYKFmsS"
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
    both = wanted.replace("@", ":v1@")
    assert pyctr("pull", "-q", both, check=True).stdout == f"{both}\n"
    assert listed.stdout == pyctr("images", "--format", "{{.Repository}} {{.Tag}}", "127*/*/*").stdout
    assert pyctr("rmi", wanted, check=True).stdout.startswith(f"Untagged: {wanted}\nDeleted: ")


def test_a_name_by_digest_is_shown_beside_names_in_other_repositories_and_goes_with_the_last_tag(
    pyctr: Pyctr, registry: DockerRegistry, repository: str
) -> None:
    wanted = f"{registry.host}/{repository}@{digest(registry.publish(repository, 'v1', LAYERS))}"
    tag = f"{registry.host}/{repository}:v1"
    pyctr("pull", "-q", tag, check=True)
    pyctr("tag", tag, "other:1", check=True)
    pyctr("rmi", tag, check=True)
    assert f"Status: Downloaded newer image for {wanted}\n" in pyctr("pull", wanted, check=True).stdout
    shown = pyctr("images", "--format", "{{.Repository}} {{.Tag}}", check=True).stdout.splitlines()
    assert {f"{registry.host}/{repository} <none>", "other 1"} <= set(shown)
    assert f"Status: Downloaded newer image for {tag}\n" in pyctr("pull", tag, check=True).stdout
    assert pyctr("images", "--format", "{{.Tag}}", f"{registry.host}/{repository}").stdout == "v1\n"
    assert pyctr("rmi", tag, check=True).stdout == f"Untagged: {tag}\nUntagged: {wanted}\n"
    assert pyctr("pull", "scratch").stderr.startswith("pyctr_lite: 'scratch' is a reserved name\n")


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
    assert done.stdout == "Using default tag: latest\n"


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


def test_run_pulls_a_missing_image_and_runs_it(pyctr: Pyctr, registry: DockerRegistry, repository: str) -> None:
    name = f"{registry.host}/{repository}:v1"
    pyctr("tag", "busybox", name, check=True)
    pyctr("push", name, check=True)
    pyctr("rmi", name, check=True)
    done = pyctr("run", "--rm", name, "echo", "ran", check=True)
    assert done.stdout == "ran\n"
    lines = done.stderr.splitlines()
    assert lines[:2] == [f"Unable to find image '{name}' locally", f"v1: Pulling from {repository}"]
    assert lines[-1] in (
        f"Status: {text} for {name}" for text in ("Image is up to date", "Downloaded newer image")
    )
    assert pyctr("run", "--rm", name, "echo", "again").stderr == ""
    quiet = pyctr("create", "-q", "--pull", "always", "--name", "box", name, check=True)
    assert quiet.stderr == ""


def test_run_pulls_always_or_never_on_demand(pyctr: Pyctr, registry: DockerRegistry, repository: str) -> None:
    name = f"{registry.host}/{repository}:v1"
    never = pyctr("run", "--pull", "never", name)
    assert (never.returncode, never.stderr.splitlines()[0]) == (125, f"pyctr_lite: No such image: {name}")
    pyctr("tag", "busybox", name, check=True)
    always = pyctr("run", "--rm", "--pull", "always", name, "true")
    assert always.returncode == 125
    assert f"manifest for {name} not found: manifest unknown" in always.stderr
    pyctr("push", name, check=True)
    done = pyctr("run", "--rm", "--pull=always", name, "echo", "ran")
    assert (done.stdout, done.stderr.splitlines()[-1]) == ("ran\n", f"Status: Image is up to date for {name}")
    wrong = pyctr("run", "--pull", "maybe", name)
    assert (wrong.returncode, wrong.stderr.splitlines()[0]) == (
        125,
        'pyctr_lite: invalid pull option: \'maybe\': must be one of "always", "missing" or "never"',
    )


def test_push_prints_dockers_lines(pyctr: Pyctr, registry: DockerRegistry, repository: str) -> None:
    name = f"{registry.host}/{repository}"
    pyctr("tag", "busybox", name, check=True)
    lines = pyctr("push", name, check=True).stdout.splitlines()
    digest_ = pyctr("image", "inspect", "-f", "{{index .RepoDigests 1}}", name).stdout.strip().partition("@")[2]
    assert lines[:2] == ["Using default tag: latest", f"The push refers to repository [{name}]"]
    assert [line.partition(": ")[2] for line in lines[2:-1]] == ["Preparing", "Pushed"]
    assert lines[-1].startswith(f"latest: digest: {digest_} size: ")
    assert pyctr("push", "-q", f"{name}:latest", check=True).stdout == f"{name}:latest\n"
    missing = pyctr("push", f"{name}:nope")
    assert missing.returncode == 1
    assert f"tag does not exist: {name}:nope" in missing.stderr
    shown = json.loads(pyctr("manifest", "inspect", name, check=True).stdout)
    assert shown["config"]["digest"] == pyctr("images", "-q", "--no-trunc", "busybox").stdout.strip()
    assert pyctr("manifest", "inspect", name).stdout.startswith('{\n\t"schemaVersion": 2,\n')
    described = json.loads(pyctr("manifest", "inspect", "-v", name, check=True).stdout)
    assert described["OCIManifest"] == shown == json.loads(base64.b64decode(described["Raw"]))
    assert described["Descriptor"]["digest"] == digest(base64.b64decode(described["Raw"]))
    assert described["Descriptor"]["platform"]["os"] == "linux"
    gone = pyctr("manifest", "inspect", f"{name}:nope")
    assert (gone.returncode, gone.stderr) == (1, f"pyctr_lite: no such manifest: {name}:nope\n")


def test_push_all_tags(pyctr: Pyctr, registry: DockerRegistry, repository: str) -> None:
    name = f"{registry.host}/{repository}"
    for tag in ("v1", "v2"):
        pyctr("tag", "busybox", f"{name}:{tag}", check=True)
    assert pyctr("push", "-a", name, check=True).stdout.count(": digest: ") == 2
    listed = json.loads(registry.request("GET", f"/v2/{repository}/tags/list")[2])
    assert sorted(listed["tags"]) == ["v1", "v2"]


def test_a_registry_with_passwords(pyctr: Pyctr, needs: Callable[[str], str], tmp_path: Path) -> None:
    """The line in the file of users is that of `htpasswd -nbB ann secret`."""
    users = tmp_path / "htpasswd"
    users.write_text(f"ann:{SECRET}\n")
    auth = {"htpasswd": {"realm": "tests", "path": str(users)}}
    server = DockerRegistry(needs("docker-registry"), tmp_path / "private", auth=auth)
    environment = {"DOCKER_CONFIG": str(tmp_path / "docker")}
    try:
        name = f"{server.host}/tool:v1"
        pyctr("tag", "busybox", name, check=True)
        refused = pyctr("push", name, env=environment)
        assert refused.returncode == 1
        assert "no basic auth credentials" in refused.stderr
        wrong = pyctr("login", "-u", "ann", "--password-stdin", server.host, input="wrong\n", env=environment)
        assert wrong.returncode == 1
        assert f"login attempt to http://{server.host}/v2/ failed with status: 401 Unauthorized" in wrong.stderr
        login = pyctr("login", "-u", "ann", "--password-stdin", server.host, input="secret\n", env=environment)
        assert (login.returncode, login.stdout) == (0, "Login Succeeded\n")
        assert f"stored unencrypted in '{tmp_path}/docker/config.json'" in login.stderr
        again = pyctr("login", server.host, env=environment)
        assert again.stdout == "Authenticating with existing credentials...\nLogin Succeeded\n"
        pyctr("push", name, env=environment, check=True)
        pyctr("rmi", name, check=True)
        pyctr("pull", name, env=environment, check=True)
        logout = pyctr("logout", server.host, env=environment)
        assert logout.stdout == f"Removing login credentials for {server.host}\n"
        assert pyctr("pull", name, env=environment).returncode == 1
    finally:
        server.stop()


def test_verify_repairs_an_image_from_its_registry(
    pyctr: Pyctr, registry: DockerRegistry, repository: str
) -> None:
    manifest = json.loads(registry.publish(repository, "v1", LAYERS))
    name = f"{registry.host}/{repository}:v1"
    pyctr("pull", "-q", name, check=True)
    lost = manifest["layers"][1]["digest"]
    (pyctr.root / "images/blobs/sha256" / lost[7:]).write_bytes(b"damaged")
    assert pyctr("image", "verify", name).returncode == 1
    repaired = pyctr("image", "verify", "--repair", name)
    assert (repaired.returncode, repaired.stdout) == (0, f"{name}: repaired {lost}\n{name}: OK\n")
    assert pyctr("image", "verify", name).returncode == 0


def test_system_df_counts_partial_downloads_and_prune_removes_old_ones(pyctr: Pyctr) -> None:
    path = pyctr.root / "partial" / f"sha256-{'a' * 64}"
    path.parent.mkdir()
    before = pyctr("system", "df", "--format", "{{.Size}} {{.Reclaimable}}", check=True).stdout
    path.write_bytes(bytes(3_000_000))
    os.utime(path, (0, 0))
    assert pyctr("system", "df", "--format", "{{.Size}} {{.Reclaimable}}").stdout != before
    assert pyctr("system", "prune", "-f", check=True).stdout == "Total reclaimed space: 3MB\n"
    assert not path.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--password-stdin", "localhost:1"], "the --password-stdin option requires --username to be set"),
        (["-u", "a", "-p", "b", "--password-stdin", "localhost:1"],
         "conflicting options: cannot specify both --password and --password-stdin"),
        (["-u", "a", "--password-stdin", "localhost:1"],
         "the --password-stdin option requires a password on standard input"),
        (["-u", "a", "-p", "b", "a host"], "invalid registry 'a host'"),
        (["-u", "a", "-p", "b", "host:99999"], "invalid registry 'host:99999'"),
        (["localhost:1"], "Cannot perform an interactive login from a non TTY device"),
    ],
)  # fmt: skip
def test_login_refuses_what_docker_refuses(pyctr: Pyctr, arguments: list[str], message: str) -> None:
    done = pyctr("login", *arguments)
    assert done.returncode == 1
    assert f"pyctr_lite: {message}\n" in done.stderr


def test_search_lists_a_registrys_repositories(pyctr: Pyctr, registry: DockerRegistry, repository: str) -> None:
    registry.publish(f"{repository}/findme", "v1", LAYERS)
    done = pyctr("search", f"{registry.host}/findme", "--format", "{{.Name}}", check=True)
    assert done.stdout == f"{registry.host}/{repository}/findme\n"


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 1 << 16)
    except OSError:  # the other end is closed
        return b""
