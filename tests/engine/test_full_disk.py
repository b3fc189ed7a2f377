"""A full disk is a clear error: the store is whole, no container or finished log is lost, all goes on after."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Pyctr
from tests.leaks import cgroup_name, end_groups


@pytest.fixture
def small(pyctr: Pyctr, tmp_path: Path) -> Iterator[Pyctr]:
    """The command on a state directory of 16 MiB, with busybox in it."""
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
        subprocess.run(["umount", root], check=True)
        end_groups(cgroup_name(root), only_empty=True)


def refused(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode in (1, 125)
    assert "No space left on device" in done.stderr.splitlines()[0]
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 2


def left(small: Pyctr) -> list[str]:
    """What an image that was not finished might leave."""
    return [str(path) for name in ("staging",) for path in (small.root / name).iterdir()]


def test_a_commit_that_does_not_fit(small: Pyctr) -> None:
    small("run", "--name", "box", "busybox", "sh", "-c", "head -c 7000000 /dev/urandom >/big", check=True)
    refused(small("commit", "box", "big:1"))
    assert small("images", "-q").stdout.count("\n") == 1
    assert left(small) == []
    assert "A /big" in small("diff", "box").stdout
    small("rm", "box", check=True)
    assert small("run", "--rm", "busybox", "echo", "goes on").stdout == "goes on\n"


def test_a_load_and_an_import_that_do_not_fit(small: Pyctr, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(range(256)) * 80_000)
    subprocess.run(["tar", "-C", tmp_path, "-cf", tmp_path / "big.tar", "big"], check=True)
    refused(small("import", tmp_path / "big.tar", "big"))
    other = Pyctr(small.launcher, tmp_path / "other")
    other("import", tmp_path / "big.tar", "big", check=True)
    other("save", "-o", tmp_path / "saved.tar", "big", check=True)
    refused(small("load", "-i", tmp_path / "saved.tar"))
    assert small("images", "--format", "{{.Repository}}").stdout == "busybox\n"
    assert left(small) == []
    assert small("run", "--rm", "busybox", "echo", "goes on").stdout == "goes on\n"


def test_a_program_that_fills_the_disk_is_told_and_can_be_removed(small: Pyctr) -> None:
    done = small("run", "--name", "box", "busybox", "sh", "-c", "cat /dev/zero >/big; echo $?")
    assert "No space left on device" in done.stderr
    assert "Exited" in small("ps", "-a").stdout
    assert small("rm", "box").returncode == 0
    assert small("run", "--rm", "busybox", "echo", "goes on").stdout == "goes on\n"


def test_a_log_that_does_not_fit_holds_nobody_up(small: Pyctr) -> None:
    """The program's output is lost from there on, its end is recorded, and what was kept can be read."""
    script = "echo first; head -c 20000000 /dev/zero | tr '\\0' x; exit 3"
    done = small("run", "--name", "box", "busybox", "sh", "-c", script)
    assert (done.returncode, len(done.stdout)) == (3, 20_000_006)
    assert small("inspect", "-f", "{{.State.ExitCode}}", "box").stdout == "3\n"
    assert small("logs", "box").stdout.startswith("first\n")
    assert small("rm", "box").returncode == 0
    assert small("run", "--rm", "busybox", "echo", "goes on").stdout == "goes on\n"


def test_a_container_that_cannot_be_made_leaves_nothing(small: Pyctr) -> None:
    fill = small.root / "fill"
    subprocess.run(["dd", "if=/dev/zero", f"of={fill}", "bs=4k"], capture_output=True)
    done = small("run", "--name", "box", "busybox", "true")
    assert done.returncode != 0
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    fill.unlink()
    assert small("ps", "-aq").stdout == ""
    assert small("run", "--name", "box", "busybox", "echo", "goes on").stdout == "goes on\n"
