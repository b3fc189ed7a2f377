"""A corpus of Dockerfiles built by Docker's BuildKit, by podman and by us: file trees, config and history."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import Pyctr
from tests.oracle import builds

if TYPE_CHECKING:
    from tests.dockerd import DockerDaemon

pytestmark = pytest.mark.timeout(180)

CONFIG = (
    "Env Cmd Entrypoint User WorkingDir ExposedPorts Volumes Labels StopSignal Healthcheck OnBuild Shell".split()
)
OLDER_HISTORY = {
    **dict.fromkeys("healthcheck healthcheck-exec healthcheck-none".split(), "Go's form of a pointer"),
    **dict.fromkeys("arg-given arg-global arg-env".split(), "ARG shows its value since BuildKit 0.9"),
    **dict.fromkeys("copy-chown copy-chmod".split(), "COPY shows these flags since BuildKit 0.11"),
    "expose-forms": "EXPOSE shows a list since BuildKit 0.23",
}
"""Cases in which the BuildKit of Docker 20.10 writes another history than later ones and we do."""
MOUNT_POINTS_STAY = {"run-mount-tmpfs", "run-mount-cache", "run-mount-bind", "run-mount-from"}
"""Cases in which Docker 20.10 leaves an empty directory in the image for each mount."""
PODMAN_DIFFERS = {
    "workdir-relative": "buildah 1.28 makes the directory of WORKDIR only if something uses it",
    "workdir-user": "likewise",
    "scratch": "BuildKit sets WorkingDir to /",
    "copy-from-image": "BuildKit sets WorkingDir to /",
    "expose-forms": "buildah 1.28 does not expand a range of ports",
    "shell": "buildah 1.28 forgets SHELL for CMD",
    "escape": "buildah 1.28 forgets the escape directive for words",
}
PODMAN_FAILS = {
    "copy-dot-destination": "buildah 1.28 cannot copy to the parent of WORKDIR",
    "stage-upper-case": "buildah 1.28 does not ignore the case of a stage's name",
}


class Image:
    """An image in our store: what the three builders are compared by."""

    def __init__(self, pyctr: Pyctr, name: str) -> None:
        inspected = json.loads(pyctr("image", "inspect", name, check=True).stdout)[0]
        self.config = {key: inspected["Config"].get(key) or None for key in CONFIG}
        lines = pyctr("history", "--no-trunc", "--format", "{{json .CreatedBy}}", name, check=True).stdout
        self.history = [json.loads(line) for line in reversed(lines.splitlines())][1:]
        id = pyctr("create", name, "x", check=True).stdout.strip()
        archive = subprocess.run(pyctr.command("export", id), capture_output=True, check=True).stdout
        pyctr("rm", id, check=True)
        self.tree = listing(archive)


def listing(data: bytes) -> dict[str, str]:
    """List a tar stream: for each path its type, mode, owner, link target and content; times of known files."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar:
            content = member.linkname
            if member.isfile():
                content = hashlib.sha256(tar.extractfile(member).read()).hexdigest()[:12]  # type: ignore[union-attr]
            time = "old" if member.mtime == 1_600_000_000 and not member.isdir() else ""
            owner = f"{member.uid}:{member.gid}"
            found[member.name] = f"{member.type!r} {member.mode & 0o7777:o} {owner} {content} {time}"
    return found


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("corpus") / "context"
    directory.mkdir()
    builds.make_context(directory)
    return directory


@pytest.fixture(scope="module")
def docker(docker_daemon: DockerDaemon, image_archives: list[Path]) -> DockerDaemon:
    """Docker's daemon with the image busybox."""
    for archive in image_archives:
        subprocess.run(docker_daemon.command("load", "-i", str(archive)), check=True, capture_output=True)
    text = "FROM busybox\nRUN true\n"  # the first RUN makes a cgroup that the daemon keeps
    command, more = docker_daemon.command("build", "--network", "host", "-"), {"DOCKER_BUILDKIT": "1"}
    subprocess.run(command, env={**os.environ, **more}, input=text.encode(), check=True, capture_output=True)
    return docker_daemon


@pytest.fixture(scope="module")
def podman(
    needs: Callable[[str], str], image_archives: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., None]]:
    """Podman's command with a storage of its own, and the image busybox."""
    program, directory = needs("podman"), tmp_path_factory.mktemp("podman")
    options = ["--root", f"{directory}/root", "--runroot", f"{directory}/run", "--cgroup-manager", "cgroupfs"]

    def run(*arguments: str) -> None:
        done = subprocess.run([program, *options, *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    for archive in image_archives:
        run("load", "-q", "-i", str(archive))
    yield run
    run("rmi", "-af")
    subprocess.run(["umount", "-l", f"{directory}/root/overlay"], capture_output=True)


def ours(pyctr: Pyctr, context: Path, path: Path, flags: list[str]) -> Image:
    pyctr("build", "-t", "ours", "-f", path, *flags, context, check=True)
    return Image(pyctr, "ours")


def dockerfile(tmp_path: Path, case: str) -> tuple[Path, list[str]]:
    text, flags = builds.CORPUS[case]
    path = tmp_path / "Dockerfile"
    path.write_text(text)
    return path, flags


@pytest.mark.parametrize("case", builds.CORPUS)
def test_docker_builds_the_same(
    docker: DockerDaemon, pyctr: Pyctr, context: Path, tmp_path: Path, case: str
) -> None:
    path, flags = dockerfile(tmp_path, case)
    command = docker.command("build", "--network", "host", "-t", "theirs", "-f", str(path), *flags, str(context))
    done = subprocess.run(command, env={**os.environ, "DOCKER_BUILDKIT": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    saved = subprocess.run(docker.command("save", "theirs"), capture_output=True, check=True).stdout
    subprocess.run(pyctr.command("load"), input=saved, check=True, capture_output=True)
    theirs, found = Image(pyctr, "theirs"), ours(pyctr, context, path, flags)
    assert found.config == theirs.config
    assert (found.history == theirs.history) != (case in OLDER_HISTORY)
    assert len(found.history) == len(theirs.history)
    left = theirs.tree.keys() - found.tree.keys()
    assert left == (left & {"t", "c", "m"} if case in MOUNT_POINTS_STAY else set())
    assert found.tree == {path: shown for path, shown in theirs.tree.items() if path not in left}


@pytest.mark.parametrize("line", [*builds.WRONG, *builds.WRONG_IN_OTHER_WORDS])
def test_docker_refuses_the_same_before_the_first_step(
    docker: DockerDaemon, pyctr: Pyctr, tmp_path: Path, line: str
) -> None:
    (tmp_path / "Dockerfile").write_text(f"FROM busybox\nRUN echo first\n{line}\n")
    flags = ["build", "--progress", "plain", "--no-cache"]
    theirs = subprocess.run(
        docker.command(*flags, "--network", "host", str(tmp_path)),
        env={**os.environ, "DOCKER_BUILDKIT": "1"},
        capture_output=True,
        text=True,
    )
    ours = pyctr(*flags, tmp_path)
    assert (theirs.returncode, ours.returncode) == (1, 1)
    assert "] RUN echo first" not in theirs.stderr + ours.stderr
    message = next(line for line in ours.stderr.splitlines() if line.startswith("pyctr_lite: "))
    words = message.removeprefix("pyctr_lite: failed to solve: ").partition(": '")[0]
    if line in builds.WRONG:
        assert words.lower() in theirs.stderr.lower()
    assert f"   3 | >>> {line}\n" in ours.stderr


@pytest.mark.parametrize("case", [case for case in builds.CORPUS if case not in PODMAN_FAILS])
def test_podman_builds_the_same(
    podman: Callable[..., None], pyctr: Pyctr, context: Path, tmp_path: Path, case: str
) -> None:
    path, flags = dockerfile(tmp_path, case)
    options = ["--isolation", "chroot", "--network", "host", "--format", "docker"]
    podman("build", "-q", *options, "-t", "theirs", "-f", str(path), *flags, str(context))
    podman("save", "-q", "-o", f"{tmp_path}/theirs.tar", "localhost/theirs")
    pyctr("load", "-i", f"{tmp_path}/theirs.tar", check=True)
    theirs, found = Image(pyctr, "localhost/theirs"), ours(pyctr, context, path, flags)
    _without_buildahs_own(theirs.config)
    for name in ("resolv.conf", "hostname", "hosts"):  # buildah leaves its mount points
        del theirs.tree[f"etc/{name}"], found.tree[f"etc/{name}"]
    if case in PODMAN_DIFFERS:
        assert (found.config, found.tree) != (theirs.config, theirs.tree)
        return
    assert found.config == theirs.config
    assert found.tree == theirs.tree


def _without_buildahs_own(config: dict[str, Any]) -> None:
    labels = {key: value for key, value in (config["Labels"] or {}).items() if key != "io.buildah.version"}
    config["Labels"] = labels or None
