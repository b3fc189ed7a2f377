"""A full disk is a clear error: the store stays intact, and no container or finished log is lost."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyctr_lite.images import store
from tests.conftest import Pyctr
from tests.leaks import cgroup_name, end_groups
from tests.network_leaks import discard_networks


@pytest.fixture
def small(pyctr: Pyctr, tmp_path: Path) -> Iterator[Pyctr]:
    """Return the command on a state directory of 16 MiB, with busybox in it."""
    archive = tmp_path / "busybox.tar"
    pyctr("save", "-o", archive, "busybox", check=True)
    root = tmp_path / "small"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", root], check=True)
    small = Pyctr(pyctr.launcher, root)
    try:
        small("load", "-i", archive, check=True)
        yield small
        ids = small("ps", "-aq").stdout.split()
        if ids:
            small("rm", "-f", "-v", *ids, check=True)
    finally:
        left = discard_networks(root)
        subprocess.run(["umount", root], check=True)
        end_groups(cgroup_name(root), only_empty=True)
    assert left == []


def assert_refused(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode in (1, 125)
    assert "No space left on device" in done.stderr.splitlines()[0]
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 2


def staged(small: Pyctr) -> list[str]:
    """Return the files that an unfinished image leaves."""
    return [str(path) for path in (small.root / "staging").iterdir()]


def test_a_commit_that_does_not_fit_is_refused(small: Pyctr) -> None:
    small("run", "--name", "box", "busybox", "sh", "-c", "head -c 7000000 /dev/urandom >/big", check=True)
    assert_refused(small("commit", "box", "big:1"))
    assert small("images", "-q").stdout.count("\n") == 1
    assert staged(small) == []
    assert "A /big" in small("diff", "box").stdout
    small("rm", "box", check=True)
    assert small("run", "--rm", "busybox", "echo", "continues").stdout == "continues\n"


def test_a_load_and_an_import_that_do_not_fit_are_refused(small: Pyctr, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(range(256)) * 80_000)
    subprocess.run(["tar", "-C", tmp_path, "-cf", tmp_path / "big.tar", "big"], check=True)
    assert_refused(small("import", tmp_path / "big.tar", "big"))
    other = Pyctr(small.launcher, tmp_path / "other")
    other("import", tmp_path / "big.tar", "big", check=True)
    other("save", "-o", tmp_path / "saved.tar", "big", check=True)
    assert_refused(small("load", "-i", tmp_path / "saved.tar"))
    assert small("images", "--format", "{{.Repository}}").stdout == "busybox\n"
    assert staged(small) == []
    assert small("run", "--rm", "busybox", "echo", "continues").stdout == "continues\n"


def test_a_program_that_fills_the_disk_gets_an_error_and_its_container_can_be_removed(small: Pyctr) -> None:
    done = small("run", "--name", "box", "busybox", "sh", "-c", "cat /dev/zero >/big; echo $?")
    assert "No space left on device" in done.stderr
    assert "Exited" in small("ps", "-a").stdout
    assert small("rm", "box").returncode == 0
    assert small("run", "--rm", "busybox", "echo", "continues").stdout == "continues\n"


def test_a_log_that_does_not_fit_does_not_block_the_program(small: Pyctr) -> None:
    """Later output is missing from the log, the exit is recorded, and the rest of the log can be read."""
    script = "echo first; head -c 20000000 /dev/zero | tr '\\0' x; exit 3"
    done = small("run", "--name", "box", "busybox", "sh", "-c", script)
    assert (done.returncode, len(done.stdout)) == (3, 20_000_006)
    assert small("inspect", "-f", "{{.State.ExitCode}}", "box").stdout == "3\n"
    assert small("logs", "box").stdout.startswith("first\n")
    assert small("rm", "box").returncode == 0
    assert small("run", "--rm", "busybox", "echo", "continues").stdout == "continues\n"


def test_a_container_that_cannot_be_created_leaves_nothing(small: Pyctr) -> None:
    fill = small.root / "fill"
    subprocess.run(["dd", "if=/dev/zero", f"of={fill}", "bs=4k"], capture_output=True)
    done = small("run", "--name", "box", "busybox", "true")
    assert done.returncode != 0
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    fill.unlink()
    assert small("ps", "-aq").stdout == ""
    assert small("run", "--name", "box", "busybox", "echo", "continues").stdout == "continues\n"


@pytest.fixture(params=["bytes", "files"])
def full(small: Pyctr, request: pytest.FixtureRequest) -> Iterator[Pyctr]:
    """Fill `small` with images, containers and volumes, and then to the last byte or the last inode."""
    small("tag", "busybox", "other:1", check=True)
    small("volume", "create", "--label", "a=b", "named", check=True)
    small("create", "--name", "box", "-v", "/anonymous", "-v", "named:/named", "busybox", "true", check=True)
    small("run", "--name", "ran", "busybox", "sh", "-c", "echo hello >/file", check=True)
    small("volume", "create", "spare", check=True)
    images = store.ImageStore(str(small.root))
    for number in range(20):  # an index.json of several blocks
        images.tag("busybox", f"more:{number}")
    fill = small.root / "fill"
    if request.param == "bytes":
        subprocess.run(["dd", "if=/dev/zero", f"of={fill}", "bs=4k"], capture_output=True)
    else:
        used = os.statvfs(small.root)
        size = f"16m,nr_inodes={used.f_files - used.f_ffree}"
        subprocess.run(["mount", "-o", f"remount,size={size}", small.root], check=True)
    with pytest.raises(OSError, match="No space"):
        (small.root / "probe").write_bytes(bytes(1))
    yield small
    fill.unlink(missing_ok=True)
    subprocess.run(["mount", "-o", "remount,size=16m,nr_inodes=100000", small.root], check=True)


def assert_done(done: subprocess.CompletedProcess[str]) -> None:
    assert (done.returncode, done.stderr) == (0, "")


def test_images_can_be_removed_from_a_full_disk(full: Pyctr) -> None:
    assert_done(full("rmi", "other:1"))
    assert_done(full("rmi", *(f"more:{number}" for number in range(20))))
    assert_done(full("image", "prune", "-af"))
    assert full("images", "--format", "{{.Repository}}:{{.Tag}}").stdout == "busybox:latest\n"
    assert_done(full("rm", "-v", "box", "ran"))
    assert_done(full("rmi", "busybox"))
    assert full("images", "-q").stdout == ""
    assert os.listdir(full.root / "layers") == []
    assert os.listdir(full.root / "images/blobs/sha256") == []
    assert full("image", "verify").returncode == 0


@pytest.mark.parametrize("words", [["rm", "-v", "box", "ran"], ["container", "prune", "-f"]])
def test_containers_can_be_removed_from_a_full_disk(full: Pyctr, words: list[str]) -> None:
    assert_done(full(*words))
    assert full("ps", "-aq").stdout == ""
    assert os.listdir(full.root / "containers") == []
    assert os.listdir(full.root / "names") == []


def test_volumes_can_be_removed_from_a_full_disk(full: Pyctr) -> None:
    assert_done(full("volume", "rm", "spare"))
    assert_done(full("rm", "box"))
    assert_done(full("volume", "prune", "-af"))
    assert full("volume", "ls", "-q").stdout == ""
    assert os.listdir(full.root / "volumes") == []


@pytest.mark.parametrize("full", ["bytes"], indirect=True)  # on tmpfs a name takes an inode
def test_a_container_can_be_renamed_on_a_full_disk(full: Pyctr) -> None:
    assert_done(full("rename", "box", "crate"))
    assert sorted(os.listdir(full.root / "names")) == ["crate", "ran"]
    assert full("inspect", "-f", "{{.Name}}", "crate").stdout == "/crate\n"
    refused = full("rename", "crate", "ran")
    assert "already in use" in refused.stderr
    assert_done(full("rm", "crate"))


def test_a_system_prune_frees_a_full_disk(full: Pyctr) -> None:
    assert_done(full("system", "prune", "-af", "--volumes"))
    assert full("system", "df", "--format", "{{.TotalCount}}").stdout.split() == ["0", "0", "2", "0"]
