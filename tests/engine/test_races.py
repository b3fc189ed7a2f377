"""Races: no command removes what another uses. Both run in a loop, PYCTR_RACE_ROUNDS times (default: 8)."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Pyctr
from tests.images.archives import config, digest, directory, docker_archive, entry, tar

ROUNDS = int(os.environ.get("PYCTR_RACE_ROUNDS", "8"))


def run_beside(other: Callable[[], None], rounds: Callable[[], None]) -> None:
    """Call `other` over and over while `rounds` runs. Its first error fails the test."""
    done = threading.Event()
    errors: list[BaseException] = []

    def loop() -> None:
        try:
            while not done.is_set():
                other()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        rounds()
    finally:
        done.set()
        thread.join()
    if errors:
        raise errors[0]


def outcome(done: subprocess.CompletedProcess[str], *allowed: str) -> str:
    """Return "" for success, or the allowed message of a failure. Any other message fails the test."""
    if not done.returncode:
        return ""
    found = [text for text in allowed if text in done.stderr]
    assert found, done.stderr
    return found[0]


def test_removing_an_image_beside_run(pyctr: Pyctr, tmp_path: Path) -> None:
    """Each `run --rm` runs or does not find the image; each `rmi` removes the whole image or is refused."""
    archive = tmp_path / "busybox.tar"
    pyctr("save", "-o", archive, "busybox", check=True)
    seen: set[str] = set()

    def remove_and_load() -> None:
        outcome(pyctr("rmi", "busybox"), "must force")
        pyctr("load", "-i", archive, check=True)

    def run() -> None:
        for _ in range(ROUNDS):
            done = pyctr("run", "--rm", "--pull", "never", "busybox", "echo", "ran")
            seen.add(outcome(done, "No such image: busybox:latest"))
            assert done.stdout == ("" if done.returncode else "ran\n")

    run_beside(remove_and_load, run)
    assert seen
    assert pyctr("ps", "-aq", check=True).stdout == ""
    assert [os.listdir(pyctr.root / name) for name in ("containers", "names", "staging")] == [[], [], []]
    assert pyctr("image", "verify", check=True)
    pyctr("image", "prune", "-af", check=True)
    assert [os.listdir(pyctr.root / name) for name in ("layers", "init")] == [[], []]


def test_removing_volumes_beside_run(pyctr: Pyctr) -> None:
    """`rm` removes a named volume, `prune` all unused ones; each container keeps its volumes to the end."""

    def remove() -> None:
        outcome(pyctr("volume", "rm", "-f", "vol"), "volume is in use")
        pyctr("volume", "prune", "-af", check=True)

    def run() -> None:
        for _ in range(ROUNDS):
            script = "echo kept >/v/file && sleep 0.05 && cat /v/file"
            done = pyctr("run", "--rm", "-v", "vol:/v", "-v", "/anonymous", "busybox", "sh", "-c", script)
            assert (done.returncode, done.stdout, done.stderr) == (0, "kept\n", "")

    run_beside(remove, run)
    assert pyctr("ps", "-aq", check=True).stdout == ""
    pyctr("volume", "prune", "-af", check=True)
    assert pyctr("volume", "ls", "-q", check=True).stdout == ""


def test_an_image_being_removed_is_never_reported_as_broken(pyctr: Pyctr, tmp_path: Path) -> None:
    archive = tmp_path / "other.tar"
    archive.write_bytes(docker_archive([tar(entry("a", b"x"))], ["other:1"]))

    def add_and_remove() -> None:
        pyctr("load", "-i", archive, check=True)
        pyctr("rmi", "other:1", check=True)

    def read() -> None:
        for _ in range(ROUNDS):
            listed = pyctr("images", check=True)
            assert ("busybox" in listed.stdout, listed.stderr) == (True, "")
            outcome(pyctr("image", "inspect", "other:1"), "No such image")
            outcome(pyctr("history", "other:1"), "No such image")

    run_beside(add_and_remove, read)


def test_removing_a_lower_layer_while_another_is_unpacked_on_it(pyctr: Pyctr, tmp_path: Path) -> None:
    """The upper layer copies attributes that its archive lacks from the lower one, and so depends on it."""
    lower = tar(directory("d", mode=0o710, uid=7))
    upper = tar(entry("d/file", b"x"), entry("big", os.urandom(3_000_000)))
    for name, layers in (("lower", [lower]), ("both", [lower, upper])):
        content = config(*map(digest, layers))
        (tmp_path / name).write_bytes(docker_archive(layers, [f"{name}:1"], config_content=content))

    def add_and_remove() -> None:
        pyctr("load", "-i", tmp_path / "lower", check=True)
        pyctr("rmi", "lower:1", check=True)

    def load() -> None:
        for _ in range(ROUNDS):
            pyctr("load", "-i", tmp_path / "both", check=True)
            [layer] = (path for path in (pyctr.root / "layers").iterdir() if (path / "big").exists())
            status = (layer / "d").stat()
            assert (status.st_mode & 0o7777, status.st_uid) == (0o710, 7)
            pyctr("rmi", "both:1", check=True)

    run_beside(add_and_remove, load)


@pytest.mark.parametrize("verb", ["run", "create"])
def test_a_failure_after_creating_a_container_removes_it(pyctr: Pyctr, tmp_path: Path, verb: str) -> None:
    (tmp_path / "small").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=8", "tmpfs", tmp_path / "small"], check=True)
    try:
        with pytest.raises(OSError, match="No space"):
            (tmp_path / "small/fill").write_bytes(bytes(8192))
        done = pyctr(verb, "--rm", "--cidfile", tmp_path / "small/id", "busybox", "true")
        assert (done.returncode in (1, 125), "No space left on device" in done.stderr) == (True, True)
        assert not (tmp_path / "small/id").exists()
    finally:
        subprocess.run(["umount", tmp_path / "small"], check=True)
    assert pyctr("ps", "-aq").stdout == ""
