"""A full disk, and a process killed in the middle: of a pull, a push, a save, a load."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyctr_lite import linux
from pyctr_lite.formats import units
from pyctr_lite.images import image as images
from tests.conftest import Pyctr
from tests.images.archives import digest, entry, tar
from tests.registries.servers import DockerRegistry, Fault, FaultProxy, Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LAYERS = [tar(entry(f"layer{number}", os.urandom(700_000))) for number in range(4)]
TENTHS = range(1, 10)

# Counts the steps of a command that change a file or send a request or a part of one, and kills itself at one.
KILLED_AT = """
import os, signal, sys
from pyctr_lite.cli.main import main
from pyctr_lite.registries.transport import Transport
from pyctr_lite.registries.upload import _Body
left, steps = int(sys.argv[1]), 0
def dying(function):
    def call(*arguments, **named):
        global steps
        steps += 1
        if steps == left:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)
    return call
for name in ("write", "pwrite", "link", "rename", "unlink", "mkdir"):
    setattr(os, name, dying(getattr(os, name)))
Transport._send, _Body.read = dying(Transport._send), dying(_Body.read)
code = main(sys.argv[2:])
print(steps, file=sys.stderr)
sys.exit(code)
"""


def run_killed(root: Path, step: int, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command that kills itself at a step (0: never, and the number of steps is its last line of stderr)."""
    command = [sys.executable, "-c", KILLED_AT, str(step), "--root", str(root), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def counted(root: Path, *arguments: str | Path) -> int:
    """Run a command to its end. Returns the number of its steps."""
    done = run_killed(root, 0, *arguments)
    assert done.returncode == 0, done.stderr
    return int(done.stderr.splitlines()[-1])


def assert_killed(root: Path, step: int, *arguments: str | Path) -> None:
    assert run_killed(root, step, *arguments).returncode == -signal.SIGKILL


def left_over(root: Path) -> list[str]:
    """Return the files that unfinished commands have left, and the blobs that no image needs."""
    found = [f"{part}/{name}" for part in ("staging", "partial") for name in _names(root / part)]
    return found + [name for name in _names(root / "layers") if "." in name]


def _names(directory: Path) -> list[str]:
    return os.listdir(directory) if directory.is_dir() else []


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Return a function that mounts a disk of so many bytes, or changes its size, and returns its path."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted: list[int] = []

    def resize(size: int) -> Path:
        linux.mount("tmpfs", str(path), "tmpfs", linux.MS_REMOUNT if mounted else 0, f"size={size}")
        mounted.append(size)
        return path

    yield resize
    for _ in mounted[:1]:
        linux.umount2(str(path))


@pytest.mark.parametrize("tenth", TENTHS)
def test_a_pull_that_fills_the_disk_is_refused_and_goes_on_when_there_is_room(
    proxy: FaultProxy, repository: str, launcher: Path, disk: Callable[[int], Path], tenth: int
) -> None:
    assert proxy.upstream is not None
    manifest = proxy.upstream.publish(repository, "v1", LAYERS)
    name = f"{proxy.host}/{repository}:v1"
    pyctr = Pyctr(launcher, disk(5_800_000 * tenth // 10))  # twice the layers, and less than the rest needs
    done = pyctr("pull", name)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[0] == f"pyctr_lite: No space left on device: {pyctr.root}"
    assert len(lines) == 2
    assert "system df" in lines[1]
    assert pyctr("images", "-aq").stdout == ""
    assert _names(pyctr.root / "images/blobs/sha256") == _names(pyctr.root / "staging") == []
    complete = _names(pyctr.root / "partial")
    for file in complete:
        assert digest((pyctr.root / "partial" / file).read_bytes()) == file.replace("-", ":")

    disk(20_000_000)
    proxy.seen.clear()
    pyctr("pull", name, check=True)
    assert pyctr("images", "--digests", "--format", "{{.Digest}}").stdout == f"{digest(manifest)}\n"
    assert len(proxy.fetched("/blobs/")) == 1 + len(LAYERS) - len(complete)
    assert pyctr("image", "verify").stdout == f"{name}: OK\n"
    assert left_over(pyctr.root) == []


def test_a_full_disk_is_freed_of_a_pulls_downloads(
    registry: DockerRegistry, repository: str, launcher: Path, disk: Callable[[int], Path]
) -> None:
    registry.publish(repository, "v1", LAYERS)
    pyctr = Pyctr(launcher, disk(3_500_000))
    assert pyctr("pull", f"{registry.host}/{repository}:v1").returncode == 1
    size = sum(each.stat().st_size for each in (pyctr.root / "partial").iterdir())
    assert size > 500_000  # which layers are whole depends on their turns
    shown = pyctr("system", "df", "--format", "{{.Type}} {{.Size}} {{.Reclaimable}}").stdout.splitlines()[0]
    assert shown == f"Images {units.human_size(size, 4)} {units.human_size(size, 4)} (100%)"
    assert pyctr("image", "prune", "-f").stdout == f"Total reclaimed space: {units.human_size(size)}\n"
    assert left_over(pyctr.root) == []


def test_a_push_that_fills_the_disk_changes_nothing(
    registry: DockerRegistry, repository: str, launcher: Path, disk: Callable[[int], Path], tmp_path: Path
) -> None:
    """The layer is compressed before it is sent, and there is no room for it."""
    name = f"{registry.host}/{repository}:v1"
    (tmp_path / "rootfs.tar").write_bytes(LAYERS[0])
    pyctr = Pyctr(launcher, disk(2_000_000))
    pyctr("import", tmp_path / "rootfs.tar", name, check=True)
    before = pyctr("images", "--no-trunc", "--format", "{{.ID}} {{.Repository}} {{.Size}}").stdout
    done = pyctr("push", "-q", name)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[0] == f"pyctr_lite: No space left on device: {pyctr.root}"
    assert registry.request("GET", f"/v2/{repository}/tags/list")[0] == 404
    assert pyctr("images", "--no-trunc", "--format", "{{.ID}} {{.Repository}} {{.Size}}").stdout == before
    assert left_over(pyctr.root) == []
    disk(20_000_000)
    pyctr("push", "-q", name, check=True)


def test_a_registry_whose_disk_is_full_is_one_clear_line(
    pyctr: Pyctr, tmp_path: Path, disk: Callable[[int], Path], needs: Callable[[str], str]
) -> None:
    """The push that follows sends only what the registry does not have."""
    (tmp_path / "rootfs.tar").write_bytes(LAYERS[0] + LAYERS[1])
    registry = DockerRegistry(needs("docker-registry"), disk(500_000))
    try:
        name = f"{registry.host}/tool:v1"
        pyctr("import", tmp_path / "rootfs.tar", name, check=True)
        done = pyctr("push", "-q", name)
        assert done.returncode == 1
        assert done.stderr.startswith(f"pyctr_lite: {name}: unknown: ")
        assert "HTTP status 500" in done.stderr
        assert len(done.stderr.splitlines()) == 1
        disk(20_000_000)
        pyctr("push", "-q", name, check=True)
        pyctr("rmi", name, check=True)
        pyctr("pull", "-q", name, check=True)
        assert pyctr("image", "verify", name).stdout == f"{name}: OK\n"
    finally:
        registry.stop()


def test_a_save_that_fills_the_disk_leaves_no_archive(pyctr: Pyctr, disk: Callable[[int], Path]) -> None:
    archive = disk(500_000) / "busybox.tar"
    done = pyctr("save", "-o", archive, "busybox")
    assert (done.returncode, done.stderr) == (1, f"pyctr_lite: No space left on device: {archive}\n")
    assert os.listdir(archive.parent) == []


@pytest.fixture
def published(registry: DockerRegistry, repository: str) -> tuple[str, str, bytes]:
    """Return an image in the registry: its name, the digest of its manifest, and the manifest."""
    manifest = registry.publish(repository, "v1", LAYERS)
    return f"{registry.host}/{repository}:v1", digest(manifest), manifest


def test_a_pull_killed_at_every_tenth_goes_on(
    published: tuple[str, str, bytes], pyctr: Pyctr, tmp_path: Path
) -> None:
    name, found, _ = published
    steps = counted(tmp_path / "whole", "pull", name)
    assert steps > 40
    for tenth in TENTHS:
        other = Pyctr(pyctr.launcher, tmp_path / f"killed{tenth}")
        assert_killed(other.root, steps * tenth // 10, "pull", name)
        if tenth < 8:
            assert other("images", "-aq").stdout == ""
            assert _names(other.root / "images/blobs/sha256") == []
        else:  # while the parts were moved into the store, or after that
            assert other("image", "verify").stdout in ("", f"{name}: OK\n")
        other("pull", "-q", name, check=True)
        assert other("images", "--digests", "--format", "{{.Digest}}").stdout == f"{found}\n"
        assert other("image", "verify").stdout == f"{name}: OK\n"
        assert left_over(other.root) == []


def test_a_pull_killed_again_and_again_ends(
    published: tuple[str, str, bytes], tmp_path: Path, pyctr: Pyctr
) -> None:
    """Each time at the same step: what the earlier ones have downloaded is not downloaded again."""
    name, found, _ = published
    steps = counted(tmp_path / "whole", "pull", name)
    other = Pyctr(pyctr.launcher, tmp_path / "other")
    for _ in range(20):
        done = run_killed(other.root, steps * 7 // 10, "pull", "-q", name)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
    assert done.returncode == 0
    assert other("images", "--digests", "--format", "{{.Digest}}").stdout == f"{found}\n"
    assert left_over(other.root) == []


@pytest.mark.parametrize("survivor", ["waits", "has begun"])
def test_of_two_pulls_at_once_one_is_killed(
    proxy: FaultProxy, repository: str, pyctr: Pyctr, survivor: str
) -> None:
    """The other one takes over the layer that the killed one was downloading."""
    assert proxy.upstream is not None
    manifest = proxy.upstream.publish(repository, "v1", LAYERS)
    victim = json.loads(manifest)["layers"][0]
    name = f"{proxy.host}/{repository}:v1"
    processes: list[subprocess.Popen[bytes]] = []
    half = int(victim["size"]) // 2

    def start() -> None:
        processes.append(subprocess.Popen(pyctr.command("pull", "-q", name), stdout=subprocess.DEVNULL))

    def midway() -> None:
        if survivor == "waits":
            start()
            while len([each for each in proxy.seen if "/manifests/" in each.path and each.method == "GET"]) < 2:
                os.sched_yield()
        processes[0].kill()
        processes[0].wait()

    def fault(request: Seen) -> Fault | None:
        first = [each for each in proxy.seen if victim["digest"] in each.path] == [request]
        return Fault(pause=half, midway=midway) if first else None

    proxy.fault = fault
    for _ in range(1 if survivor == "waits" else 2):
        start()
    codes = [each.wait() for each in processes]
    if survivor == "has begun" and codes[0] == 0:  # the second one was the one that downloaded it
        pytest.skip("the other pull was first")
    while len(processes) < 2:
        os.sched_yield()
    assert [each.wait() for each in processes] == [-signal.SIGKILL, 0]
    assert pyctr("images", "--digests", "--format", "{{.Digest}}", name).stdout == f"{digest(manifest)}\n"
    assert pyctr("image", "verify", name).stdout == f"{name}: OK\n"
    assert left_over(pyctr.root) == []


@pytest.mark.parametrize("how", ["pulled", "our own"])
def test_a_push_killed_at_every_tenth_leaves_the_registry_sound(
    registry: DockerRegistry, repository: str, pyctr: Pyctr, tmp_path: Path, how: str
) -> None:
    """A manifest is there only if all that it names is there. The next push ends it."""
    origin = f"localhost:{registry.port}/{repository}/origin:v1"  # another registry, as far as anyone knows
    if how == "pulled":
        registry.publish(f"{repository}/origin", "v1", LAYERS)
        pyctr("pull", "-q", origin, check=True)
    else:
        (tmp_path / "rootfs.tar").write_bytes(LAYERS[0])
        pyctr("import", tmp_path / "rootfs.tar", origin, check=True)
    whole, first = f"{registry.host}/{repository}/whole:v1", Pyctr(pyctr.launcher, tmp_path / "whole")
    subprocess.run(["cp", "-a", pyctr.root, first.root], check=True)
    first("tag", origin, whole, check=True)
    steps = counted(first.root, "push", whole)
    accept = {"Accept": images.MANIFEST}
    expected = registry.request("GET", f"/v2/{repository}/whole/manifests/v1", headers=accept)[2]
    for tenth in TENTHS:
        target = f"{repository}/killed{tenth}"
        other = Pyctr(pyctr.launcher, tmp_path / f"killed{tenth}")
        subprocess.run(["cp", "-a", pyctr.root, other.root], check=True)
        other("tag", origin, f"{registry.host}/{target}:v1", check=True)
        assert_killed(other.root, steps * tenth // 10, "push", f"{registry.host}/{target}:v1")
        status, _, content = registry.request("GET", f"/v2/{target}/manifests/v1", headers=accept)
        assert (status, content) == (200, expected) if status == 200 else status == 404
        other("push", "-q", f"{registry.host}/{target}:v1", check=True)
        assert registry.request("GET", f"/v2/{target}/manifests/v1", headers=accept)[2] == expected
        assert left_over(other.root) == []


def test_a_load_killed_at_every_tenth_leaves_no_image(
    published: tuple[str, str, bytes], pyctr: Pyctr, tmp_path: Path
) -> None:
    pyctr("pull", "-q", published[0], check=True)
    archive = tmp_path / "saved.tar"
    pyctr("save", "-o", archive, published[0], check=True)
    steps = counted(tmp_path / "whole", "load", "-i", archive)
    for tenth in TENTHS:
        other = Pyctr(pyctr.launcher, tmp_path / f"killed{tenth}")
        assert_killed(other.root, steps * tenth // 10, "load", "-i", archive)
        assert other("image", "verify").stdout in ("", f"{published[0]}: OK\n")
        other("load", "-i", archive, check=True)
        assert other("image", "verify").stdout == f"{published[0]}: OK\n"
        assert left_over(other.root) == []
