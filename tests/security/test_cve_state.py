"""Published vulnerabilities by which other users of the host reach the engine's files."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Pyctr

NOBODY = 65534
WALK = """
import os, sys
for top in sys.argv[1:]:
    for directory, directories, files in os.walk(top):
        for name in files:
            path = os.path.join(directory, name)
            try:
                os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW))
            except OSError:
                continue
            print("read", path)
        if os.access(directory, os.W_OK):
            print("write", directory)
"""


pytestmark = pytest.mark.usefixtures("reachable")


@pytest.fixture(params=[0o022, 0, 0o077], ids=oct)
def box(request: pytest.FixtureRequest, pyctr: Pyctr) -> str:
    """Return a container with a secret in its environment, log, upper directory and volume."""
    script = "echo secret; echo secret | tee /secret >/data/secret; chmod 777 /secret /data /data/secret; sleep 60"
    args = [
        "run",
        "-d",
        "--name",
        "box",
        "-e",
        "SECRET=secret",
        "-v",
        "data:/data",
        "busybox",
        "sh",
        "-c",
        script,
    ]
    subprocess.run(pyctr.command(*args), check=True, capture_output=True, umask=request.param)
    return pyctr("inspect", "-f", "{{.Id}}", "box", check=True).stdout.strip()


def test_another_user_cannot_read_or_write_the_engines_files(pyctr: Pyctr, box: str) -> None:
    """CVE-2021-41091, -41103 and CVE-2024-25621: the state directory was open to every user, under any umask."""
    done = subprocess.run(
        ["python3", "-c", WALK, pyctr.root, "/run/pyctr_lite"],
        user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("write")] == []
    assert [line for line in lines if str(pyctr.root) in line or box in line or "secret" in line] == []
    for path in (
        f"containers/{box}/container.json",
        f"containers/{box}/upper/secret",
        "volumes/data/_data/secret",
    ):
        assert (pyctr.root / path).exists()
        assert subprocess.run(
            ["cat", pyctr.root / path], user=NOBODY, group=NOBODY, capture_output=True
        ).returncode


def test_root_of_a_user_namespace_cannot_reach_the_engines_files(pyctr: Pyctr) -> None:
    """CVE-2021-21284: the remapped root owned the containers' directories, and created files there."""
    pyctr("run", "-d", "--name", "box", "--userns", "auto", "busybox", "sleep", "60", check=True)
    pid, id = pyctr("inspect", "-f", "{{.State.Pid}} {{.Id}}", "box", check=True).stdout.split()
    uid = os.stat(f"/proc/{pid}").st_uid
    assert uid > 65535
    done = subprocess.run(
        ["python3", "-c", WALK, pyctr.root, "/run/pyctr_lite"],
        user=uid, group=uid, extra_groups=[], capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert [line for line in done.stdout.splitlines() if line.startswith("write") or id in line] == []


def test_cp_changes_no_mode_on_the_host(pyctr: Pyctr, tmp_path: Path) -> None:
    """CVE-2021-41089: `cp` into a container changed the modes of files of the host."""
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o700)
    (outside / "d").mkdir(mode=0o700)
    (outside / "file").write_text("x")
    (outside / "file").chmod(0o600)
    given = tmp_path / "given"
    (given / "d").mkdir(parents=True, mode=0o777)
    (given / "file").write_text("y")
    for path in (given, given / "d", given / "file"):
        path.chmod(0o777)
    up = "../" * 12
    links = (
        f"ln -s {up}{outside} /l; mkdir /t; ln -s {up}{outside}/d /t/d; ln -s {up}{outside}/file /t/file; sleep 60"
    )
    pyctr("run", "-d", "--name", "box", "busybox", "sh", "-c", links, check=True)
    before = [(path, path.lstat().st_mode, path.lstat().st_mtime_ns) for path in (outside, *outside.rglob("*"))]
    for destination in ("box:/l", "box:/l/", "box:/t", "box:/t/d", "box:/t/file"):
        for source in (f"{given}/.", str(given), f"{given}/file"):
            for flags in ([], ["-a"]):
                pyctr("cp", *flags, source, destination)
    after = [(path, path.lstat().st_mode, path.lstat().st_mtime_ns) for path in (outside, *outside.rglob("*"))]
    assert after == before
    assert (outside / "file").read_text() == "x"


def test_no_file_is_created_in_tmp(pyctr: Pyctr, tmp_path: Path) -> None:
    """CVE-2014-0047: another user can guess names in /tmp. The engine creates no file there."""
    temporary = tmp_path / "tmp"
    temporary.mkdir(mode=0o777)
    temporary.chmod(0o1777)
    environment = {"TMPDIR": str(temporary)}
    before = {path for path in Path("/tmp").iterdir() if "pyctr" in path.name}
    pyctr("run", "--name", "box", "busybox", "true", env=environment, check=True)
    pyctr("commit", "box", "made", env=environment, check=True)
    pyctr("save", "-o", tmp_path / "made.tar", "made", env=environment, check=True)
    pyctr("rmi", "made", env=environment, check=True)
    pyctr("load", "-i", tmp_path / "made.tar", env=environment, check=True)
    pyctr("cp", "box:/bin", tmp_path / "bin", env=environment, check=True)
    pyctr("build", "-", input="FROM busybox\nRUN <<EOF\n#!/bin/sh\ntrue\nEOF\n", env=environment, check=True)
    assert list(temporary.iterdir()) == []
    assert {path for path in Path("/tmp").iterdir() if "pyctr" in path.name} <= before


CONNECT = """
import os, socket, sys
for path in sys.argv[1:]:
    try:
        directory = os.open(os.path.dirname(path), os.O_PATH)
        fd_path = f"/proc/self/fd/{directory}/{os.path.basename(path)}"
        socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect(fd_path)
    except PermissionError:
        continue
    except OSError as error:
        print(path, error)
    else:
        print("connected", path)
"""


def test_another_user_cannot_connect_to_the_engines_sockets(pyctr: Pyctr, box: str) -> None:
    """CVE-2014-3499 and similar: a socket that every user may write to makes every user root."""
    tops = (pyctr.root, Path("/run/pyctr_lite"))
    sockets = [str(path) for top in tops for path in top.rglob("*") if path.is_socket()]
    assert sockets, "the monitor has one"
    done = subprocess.run(
        ["python3", "-c", CONNECT, *sockets],
        user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == ""
    assert pyctr("exec", "box", "sh", "-c", "find / -xdev -type s; tail -n +2 /proc/net/unix").stdout == ""


TAKE_LOCKS = """
import fcntl, os, sys, time
for directory, directories, files in os.walk(sys.argv[1]):
    for name in ("", *files):
        try:
            fcntl.flock(os.open(os.path.join(directory, name), os.O_RDONLY | os.O_NONBLOCK), fcntl.LOCK_EX)
        except OSError:
            pass
print("taken", flush=True)
time.sleep(1000)
"""


def test_another_user_cannot_take_a_lock_of_the_engine(pyctr: Pyctr) -> None:
    """Whoever can open a file or a directory can lock it (flock(2)), and let every command wait for ever."""
    pyctr("network", "create", "red", check=True)
    pyctr(
        "run", "-d", "--name", "box", "--network", "red", "-v", "data:/data", "busybox", "sleep", "60", check=True
    )
    command = ["python3", "-c", TAKE_LOCKS, pyctr.root]
    with subprocess.Popen(command, user=NOBODY, group=NOBODY, extra_groups=[], stdout=subprocess.PIPE) as thief:
        assert thief.stdout is not None
        assert thief.stdout.readline() == b"taken\n"
        for words in (
            "network create blue",
            "volume create",
            "tag busybox other",
            "commit box image",
            "run --rm --userns auto --network blue busybox true",
            "stop -t 0 box",
            "rm box",
        ):
            pyctr(*words.split(), check=True, timeout=20)
        thief.kill()
