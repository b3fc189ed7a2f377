"""`cp`, `commit`, `diff` and `export` against a container that chooses the paths: mounts, depth, holes, and races.

A path that a container can write to is resolved once, to a descriptor, and only that is used. A tree that
is too deep, too long or too large gives a clear error. PYCTR_RACE_ROUNDS sets the number of rounds
of a race.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pyctr_lite.engine import engine
from pyctr_lite.engine.files import copy
from pyctr_lite.errors import PyctrError
from pyctr_lite.rootfs import walk
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
    """Return a running or stopped container with a host file bound over /etc/b, and a directory over /bd."""
    (tmp_path / "f").write_text("of the host\n")
    (tmp_path / "bd").mkdir()
    (tmp_path / "bd/in").write_text("in\n")
    binds = ["-v", f"{tmp_path}/f:/etc/b", "-v", f"{tmp_path}/f:/srv/deep/b:ro", "-v", f"{tmp_path}/bd:/bd"]
    pyctr("run", "-d", "--name", "box", *binds, "busybox", "sleep", "1000", check=True)
    if request.param == "stopped":
        pyctr("kill", "box", check=True)
    return "box"


def still_mounted(pyctr: Pyctr, tmp_path: Path) -> None:
    """Check from inside, after a start if needed, that no mount was replaced, detached or changed."""
    assert (tmp_path / "f").read_text() == "of the host\n"
    pyctr("start", "box", check=True)
    table = pyctr("exec", "box", "cat", "/proc/mounts", check=True).stdout
    for path in (*HOSTS, "/etc/b", "/srv/deep/b", "/bd"):
        assert f" {path} " in table
    assert pyctr("exec", "box", "cat", "/etc/b", "/srv/deep/b", check=True).stdout == "of the host\n" * 2


def test_a_copy_does_not_detach_a_mount_in_the_container(pyctr: Pyctr, bound: str, tmp_path: Path) -> None:
    """moby: unlink(2) from another mount namespace detaches the mount there, and the copy is lost."""
    (tmp_path / "n").write_text("new\n")
    (tmp_path / "tree/etc").mkdir(parents=True)
    (tmp_path / "tree/etc/b").write_text("new\n")
    (tmp_path / "tree/srv/deep").mkdir(parents=True)
    (tmp_path / "tree/srv/deep/b").symlink_to("/etc/passwd")
    for path in (*HOSTS, "/etc/b", "/srv/deep/b", "/etc/../etc/b"):
        done = pyctr("cp", str(tmp_path / "n"), f"box:{path}")
        assert done.returncode == 1
        assert f"unlinkat {path}: device or resource busy" in done.stderr
        assert len(done.stderr.splitlines()) <= 2
    for source, path in (
        (f"{tmp_path}/tree/.", "/"),
        (f"{tmp_path}/tree/etc", "/"),
        (f"{tmp_path}/tree/srv", "/"),
    ):
        done = pyctr("cp", source, f"box:{path}")
        assert (done.returncode, "device or resource busy" in done.stderr) == (1, True), done.stderr
    for name in ("etc/b", "./srv/deep/b", "etc/hosts"):
        command = pyctr.command("cp", "-", "box:/")
        packed = subprocess.run(command, input=tar(**{name: "new\n"}), capture_output=True)
        assert (packed.returncode, b"device or resource busy" in packed.stderr) == (1, True), packed.stderr
    still_mounted(pyctr, tmp_path)


def test_a_copy_through_a_link_does_not_detach_its_mounted_target(
    pyctr: Pyctr, bound: str, tmp_path: Path
) -> None:
    links = io.BytesIO()
    with tarfile.open(fileobj=links, mode="w") as archive:
        for name, target in {"to-b": "etc/b", "far": "/srv/../to-b", "dir": "srv/deep"}.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    subprocess.run(pyctr.command("cp", "-", "box:/"), input=links.getvalue(), check=True)
    (tmp_path / "b").write_text("new\n")
    for path in ("/to-b", "/far", "/dir", "/dir/b"):
        done = pyctr("cp", str(tmp_path / "b"), f"box:{path}")
        assert (done.returncode, "device or resource busy" in done.stderr) == (1, True), (path, done.stderr)
    still_mounted(pyctr, tmp_path)


def test_a_copy_into_a_mounted_directory_succeeds(pyctr: Pyctr, bound: str, tmp_path: Path) -> None:
    (tmp_path / "tree/bd/sub").mkdir(parents=True)
    (tmp_path / "tree/bd/in").write_text("new\n")
    pyctr("cp", f"{tmp_path}/tree/bd", "box:/", check=True)
    assert sorted(os.listdir(tmp_path / "bd")) == ["in", "sub"]
    assert (tmp_path / "bd/in").read_text() == "new\n"
    done = pyctr("cp", str(tmp_path / "f"), "box:/bd/sub")
    assert done.returncode == 0, done.stderr
    still_mounted(pyctr, tmp_path)


# --- holes and depth -------------------------------------------------------------------------------------


def test_a_terabyte_of_holes_stays_sparse_in_cp_and_export_and_is_not_committed(
    pyctr: Pyctr, tmp_path: Path
) -> None:
    script = "echo begin >/big; truncate -s 1099511627776 /big; echo end >>/big; truncate -s 1099511627776 /void"
    pyctr("run", "--name", "box", "busybox", "sh", "-ec", script, check=True)
    pyctr("cp", "box:/big", str(tmp_path / "big"), check=True)
    pyctr("cp", str(tmp_path / "big"), "box:/tmp", check=True)
    for path in (tmp_path / "big", pyctr.root / f"containers/{box_id(pyctr)}/upper/tmp/big"):
        status = path.stat()
        assert (status.st_size, status.st_blocks < 1000) == ((1 << 40) + 4, True)
        with path.open("rb") as file:
            assert file.read(6) == b"begin\n"
            file.seek(1 << 40)
            assert file.read() == b"end\n"
    pyctr("export", "-o", str(tmp_path / "out.tar"), "box", check=True)
    assert (tmp_path / "out.tar").stat().st_size < 64 << 20
    command = ["tar", "-C", str(tmp_path / "out"), "-xf", str(tmp_path / "out.tar"), "big", "void"]
    (tmp_path / "out").mkdir()
    subprocess.run(command, check=True)  # GNU tar
    assert (tmp_path / "out/big").stat().st_size == (1 << 40) + 4
    assert (tmp_path / "out/big").stat().st_blocks < 1000
    with tarfile.open(tmp_path / "out.tar") as archive:
        assert archive.getmember("void").size == 1 << 40
    before = sorted(os.listdir(pyctr.root / "images/blobs/sha256")) if (pyctr.root / "images").is_dir() else []
    done = pyctr("commit", "box", "huge")
    assert done.returncode == 1
    assert "a sparse file of" in done.stderr
    assert len(done.stderr.splitlines()) <= 2
    assert pyctr("images", "-q", "huge").stdout == ""
    assert not before or sorted(os.listdir(pyctr.root / "images/blobs/sha256")) == before


def box_id(pyctr: Pyctr) -> str:
    return pyctr("inspect", "-f", "{{.Id}}", "box", check=True).stdout.strip()


def dig(top: Path, depth: int) -> None:
    fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(os.open("bottom", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)


@pytest.mark.timeout(600)
def test_a_tree_deeper_than_any_path_passes_through_every_verb(pyctr: Pyctr, tmp_path: Path) -> None:
    """commit, save, load, run, cp out, cp in, export, diff, rm. Run it by hand with PYCTR_DEPTH=10000."""
    depth = int(os.environ.get("PYCTR_DEPTH", "2100"))
    pyctr("run", "--name", "box", "busybox", "true", check=True)
    dig(pyctr.root / f"containers/{box_id(pyctr)}/upper", depth)
    assert len(pyctr("diff", "box", check=True, timeout=300).stdout.splitlines()) == depth + 1
    pyctr("commit", "box", "deep", check=True, timeout=300)
    pyctr("save", "-o", str(tmp_path / "deep.tar"), "deep", check=True)
    pyctr("rmi", "deep", check=True, timeout=300)
    pyctr("load", "-i", str(tmp_path / "deep.tar"), check=True, timeout=300)
    assert pyctr("run", "--name", "again", "deep", "echo", "up", check=True, timeout=300).stdout == "up\n"
    (tmp_path / "out").mkdir()
    pyctr("cp", "again:/d", str(tmp_path / "out"), check=True, timeout=300)
    pyctr("cp", str(tmp_path / "out/d"), "again:/copy", check=True, timeout=300)
    assert len(pyctr("diff", "again", check=True, timeout=300).stdout.splitlines()) == depth + 1
    exported = subprocess.run(pyctr.command("export", "again"), capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(exported)) as archive:
        assert sum(name.endswith("/bottom") for name in archive.getnames()) == 2
    pyctr("rm", "box", "again", check=True, timeout=300)
    pyctr("rmi", "deep", check=True, timeout=300)
    walk.remove_tree(str(tmp_path / "out"))


# --- races -----------------------------------------------------------------------------------------------

FLIPS = """
    mkdir -p /w/real VICTIM; echo inside >VICTIM/file; echo inside >/w/real/file; ln -s VICTIM /w/link
    mkfifo /w/fifo; mknod /w/zero c 1 5; echo ready
    while :; do
        for x in real link fifo zero; do mv /w/$x /w/x; mv /w/x /w/$x; done
        echo more >>/w/real/file; : >/w/real/file; ln -sf VICTIM/file /w/f; rm /w/f; mkdir /w/f; rmdir /w/f; >/w/f
    done
"""


@pytest.fixture
def flipping(pyctr: Pyctr, tmp_path: Path) -> Path:
    """Return a directory of the host, to which a container tries to redirect paths by exchanging files in /w."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "file").write_text("of the host")
    pyctr("run", "-d", "--name", "box", "busybox", "sh", "-c", FLIPS.replace("VICTIM", str(victim)), check=True)
    with subprocess.Popen(pyctr.command("logs", "-f", "box"), stdout=subprocess.PIPE) as logs:
        assert logs.stdout is not None
        assert logs.stdout.readline() == b"ready\n"
        logs.terminate()
    return victim


def untouched(victim: Path) -> None:
    assert os.listdir(victim) == ["file"]
    status = (victim / "file").stat()
    assert ((victim / "file").read_text(), status.st_mode & 0o7777, status.st_uid) == ("of the host", 0o644, 0)


@pytest.mark.timeout(3600)
def test_a_copy_never_reaches_the_host_while_the_container_exchanges_files(
    pyctr: Pyctr, flipping: Path, tmp_path: Path
) -> None:
    (tmp_path / "tree/x").mkdir(parents=True)
    (tmp_path / "tree/x/file").write_text("ours")
    os.chmod(tmp_path / "tree/x/file", 0o6777)
    os.chown(tmp_path / "tree/x/file", 7, 7)
    file, got = f"{tmp_path}/tree/x/file", tmp_path / "got"
    got.mkdir()
    box = engine.Engine(str(pyctr.root)).containers.get("box")
    attempts: list[Callable[[], object]] = [
        lambda: copy.into(box, file, "/w/x", archive=True),
        lambda: copy.into(box, file, "/w/x/file", archive=True),
        lambda: copy.into(box, f"{tmp_path}/tree/.", "/w", archive=True),
        lambda: copy.into(box, file, "/w/f", archive=True),
        lambda: copy.out(box, "/w/x", f"{got}/x", follow=True),
        lambda: copy.out(box, "/w", f"{got}/all"),
    ]
    worked = [0] * len(attempts)
    for _ in range(ROUNDS):
        for number, attempt in enumerate(attempts):
            try:
                attempt()
                worked[number] += 1
            except (PyctrError, OSError):
                pass  # an error of one line on the command line
        found = subprocess.run(["grep", "-r", "-D", "skip", "of the host", str(got)], capture_output=True)
        assert found.stdout == b""
        shutil.rmtree(got)
        got.mkdir()
        untouched(flipping)
    assert sum(worked) > 0, worked


@pytest.mark.timeout(3600)
def test_an_export_stays_valid_while_the_container_exchanges_files(
    pyctr: Pyctr, flipping: Path, tmp_path: Path
) -> None:
    for number in range(ROUNDS):
        for args in (["export", "box"], ["cp", "box:/w", "-"], ["diff", "box"]):
            done = subprocess.run(pyctr.command(*args), capture_output=True, timeout=300)
            assert (done.returncode, done.stderr) == (0, b"")
            if args[0] != "diff":
                with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
                    assert archive.getmembers()
                assert b"of the host" not in done.stdout
        pyctr("commit", "--pause=false", "box", f"image{number % 5}", check=True)
        untouched(flipping)
    saved = subprocess.run(pyctr.command("save", "image0"), capture_output=True, check=True).stdout
    assert b"of the host" not in saved
