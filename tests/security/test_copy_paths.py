"""`cp`, `commit`, `diff` and `export` against a container that chooses the paths: mounts, depth, holes, and races.

Kind: a path that a container can write to is resolved once, to a descriptor, and only that is used; and what a
container has is never too deep, too long or too large for one clear line. A race has as many rounds as
PYCTR_RACE_ROUNDS says.
"""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.conftest import Pyctr

ROUNDS = int(os.environ.get("PYCTR_RACE_ROUNDS", "5"))
HOSTS = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")


def tar(**files: str) -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content.encode()))
    return output.getvalue()


@pytest.fixture(params=["running", "stopped"])
def bound(request: pytest.FixtureRequest, pyctr: Pyctr, tmp_path: Path) -> str:
    """A container with a file of the host bound over /etc/b, and a directory over /bd, that runs or has run."""
    (tmp_path / "f").write_text("of the host\n")
    (tmp_path / "bd").mkdir()
    (tmp_path / "bd/in").write_text("in\n")
    binds = ["-v", f"{tmp_path}/f:/etc/b", "-v", f"{tmp_path}/f:/srv/deep/b:ro", "-v", f"{tmp_path}/bd:/bd"]
    pyctr("run", "-d", "--name", "box", *binds, "busybox", "sleep", "1000", check=True)
    if request.param == "stopped":
        pyctr("kill", "box", check=True)
    return "box"


def still_mounted(pyctr: Pyctr, tmp_path: Path) -> None:
    """Nothing that is mounted was replaced, detached or changed: seen from inside, after a start if need be."""
    assert (tmp_path / "f").read_text() == "of the host\n"
    pyctr("start", "box", check=True)
    table = pyctr("exec", "box", "cat", "/proc/mounts", check=True).stdout
    for place in (*HOSTS, "/etc/b", "/srv/deep/b", "/bd"):
        assert f" {place} " in table
    assert pyctr("exec", "box", "cat", "/etc/b", "/srv/deep/b", check=True).stdout == "of the host\n" * 2


def test_what_is_mounted_in_a_container_is_not_taken_away_by_a_copy(
    pyctr: Pyctr, bound: str, tmp_path: Path
) -> None:
    """moby: unlink(2) from another mount namespace detaches what is mounted there, and the copy is lost."""
    (tmp_path / "n").write_text("new\n")
    (tmp_path / "tree/etc").mkdir(parents=True)
    (tmp_path / "tree/etc/b").write_text("new\n")
    (tmp_path / "tree/srv/deep").mkdir(parents=True)
    (tmp_path / "tree/srv/deep/b").symlink_to("/etc/passwd")
    for place in (*HOSTS, "/etc/b", "/srv/deep/b", "/etc/../etc/b"):
        done = pyctr("cp", str(tmp_path / "n"), f"box:{place}")
        assert done.returncode == 1
        assert f"unlinkat {place}: device or resource busy" in done.stderr
        assert len(done.stderr.splitlines()) <= 2
    for source, place in (
        (f"{tmp_path}/tree/.", "/"),
        (f"{tmp_path}/tree/etc", "/"),
        (f"{tmp_path}/tree/srv", "/"),
    ):
        done = pyctr("cp", source, f"box:{place}")
        assert (done.returncode, "device or resource busy" in done.stderr) == (1, True), done.stderr
    for name in ("etc/b", "./srv/deep/b", "etc/hosts"):
        command = pyctr.command("cp", "-", "box:/")
        packed = subprocess.run(command, input=tar(**{name: "new\n"}), capture_output=True)
        assert (packed.returncode, b"device or resource busy" in packed.stderr) == (1, True), packed.stderr
    still_mounted(pyctr, tmp_path)


def test_a_link_to_what_is_mounted_does_not_take_it_away_either(pyctr: Pyctr, bound: str, tmp_path: Path) -> None:
    links = io.BytesIO()
    with tarfile.open(fileobj=links, mode="w") as archive:
        for name, target in {"to-b": "etc/b", "far": "/srv/../to-b", "dir": "srv/deep"}.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    subprocess.run(pyctr.command("cp", "-", "box:/"), input=links.getvalue(), check=True)
    (tmp_path / "b").write_text("new\n")
    for place in ("/to-b", "/far", "/dir", "/dir/b"):
        done = pyctr("cp", str(tmp_path / "b"), f"box:{place}")
        assert (done.returncode, "device or resource busy" in done.stderr) == (1, True), (place, done.stderr)
    still_mounted(pyctr, tmp_path)


def test_a_directory_that_is_mounted_is_copied_into(pyctr: Pyctr, bound: str, tmp_path: Path) -> None:
    (tmp_path / "tree/bd/sub").mkdir(parents=True)
    (tmp_path / "tree/bd/in").write_text("new\n")
    pyctr("cp", f"{tmp_path}/tree/bd", "box:/", check=True)
    assert sorted(os.listdir(tmp_path / "bd")) == ["in", "sub"]
    assert (tmp_path / "bd/in").read_text() == "new\n"
    done = pyctr("cp", str(tmp_path / "f"), "box:/bd/sub")
    assert done.returncode == 0, done.stderr
    still_mounted(pyctr, tmp_path)
