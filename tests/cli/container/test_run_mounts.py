"""Mounts by the user and by the engine together: their order, and missing sources."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

from tests.conftest import Pyctr

FILES = ("sh", "-c", "hostname | cmp - /etc/hostname && grep -c localhost /etc/hosts && test -e /etc/resolv.conf")
"""Succeeds if the engine's three files are visible in /etc."""


@pytest.mark.parametrize(
    "mount",
    [
        ("-v", "etc:/etc"),
        ("-v", "etc:/etc:ro"),
        ("-v", "etc:/etc:nocopy"),
        ("-v", "/etc"),
        ("-v", "DIRECTORY:/etc"),
        ("--tmpfs", "/etc"),
        ("--tmpfs", "/etc:ro"),
        ("--mount", "type=bind,src=DIRECTORY,dst=/etc"),
        ("--mount", "type=tmpfs,dst=/etc"),
        ("--read-only", "-v", "etc:/etc"),
        ("--userns", "auto", "-v", "etc:/etc"),
    ],
)
def test_hosts_hostname_and_resolv_conf_are_visible_in_a_mount_on_etc(
    pyctr: Pyctr, tmp_path: Path, mount: tuple[str, ...]
) -> None:
    (tmp_path / "host").mkdir()
    args = [arg.replace("DIRECTORY", str(tmp_path / "host")) for arg in mount]
    assert pyctr("run", "--rm", *args, "busybox", *FILES, check=True).stdout != ""


def test_a_mounted_file_replaces_the_engines(pyctr: Pyctr, tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("mine\n")
    args = ("-v", "etc:/etc", "-v", f"{tmp_path}/hosts:/etc/hosts", "busybox", "cat", "/etc/hosts")
    assert pyctr("run", "--rm", *args, check=True).stdout == "mine\n"


@pytest.mark.parametrize("order", [1, -1])
def test_a_parent_is_mounted_before_its_children_whatever_its_kind(
    pyctr: Pyctr, tmp_path: Path, order: int
) -> None:
    (tmp_path / "host").mkdir()
    mounts = [
        ("-v", f"{tmp_path}/host:/a"),
        ("--tmpfs", "/a/b"),
        ("-v", "data:/a/b/c"),
        ("--mount", f"type=bind,src={tmp_path}/host,dst=/a/b/c/d"),
    ][::order]
    args = [arg for mount in mounts for arg in mount]
    script = 'for d in /a /a/b /a/b/c /a/b/c/d; do grep -q " $d " /proc/mounts && test -d $d && echo $d; done'
    shown = pyctr("run", "--rm", *args, "busybox", "sh", "-c", script, check=True).stdout
    assert shown.split() == ["/a", "/a/b", "/a/b/c", "/a/b/c/d"]


def test_volumes_from_takes_over_what_another_container_mounts(pyctr: Pyctr, tmp_path: Path) -> None:
    mounts = ["-v", "data:/data", "-v", "/anonymous", "-v", f"{tmp_path}:/host:ro", "--tmpfs", "/scratch"]
    pyctr("run", "--name", "source", *mounts, "busybox", "touch", "/data/a", "/anonymous/b", check=True)
    script = "ls /anonymous /data; touch /host/x; touch /data/c; test -e /scratch"
    shown = pyctr("run", "--rm", "--volumes-from", "source", "busybox", "sh", "-c", script)
    assert shown.stdout.split() == ["/anonymous:", "b", "/data:", "a"]
    assert (shown.returncode, "Read-only file system" in shown.stderr) == (1, True)
    done = pyctr(
        "run", "--volumes-from", "source:ro", "-v", "/data", "busybox", "sh", "-c", "ls /data; touch /anonymous/x"
    )
    assert (done.stdout, done.returncode) == ("", 1)  # its own -v counts, and the rest is read-only
    assert pyctr("run", "--rm", "--volumes-from", "source", "busybox", "ls", "/anonymous").stdout == "b\n"


@pytest.mark.parametrize(
    ("reference", "message"),
    [("nobody", "No such container: nobody"), ("source:rslave", "invalid mode: rslave"), (":ro", "empty string")],
)
def test_wrong_volumes_from_are_refused(pyctr: Pyctr, reference: str, message: str) -> None:
    pyctr("create", "--name", "source", "busybox", check=True)
    done = pyctr("run", "--volumes-from", reference, "busybox", "true")
    assert (done.returncode, message in done.stderr) == (125, True)
    assert pyctr("ps", "-a", "--format", "{{.Names}}").stdout == "source\n"


@pytest.mark.parametrize("mount", [("--tmpfs", "/dev:dev"), ("-v", "DIRECTORY:/dev")])
def test_a_mount_on_dev_replaces_all_of_dev(pyctr: Pyctr, tmp_path: Path, mount: tuple[str, str]) -> None:
    """As in Docker, none of the default mounts below /dev is made in it."""
    device = tmp_path / "dev"
    device.mkdir()
    os.mknod(device / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    args = [arg.replace("DIRECTORY", str(device)) for arg in mount]
    done = pyctr("run", "--rm", *args, "busybox", "sh", "-c", "grep -c ' /dev/' /proc/mounts; echo x >/dev/null")
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr


def test_a_dev_without_the_null_device_is_refused_in_one_line(pyctr: Pyctr, tmp_path: Path) -> None:
    """The null device masks files of /proc (CVE-2025-31133)."""
    done = pyctr("run", "--rm", "-v", f"{tmp_path}:/dev", "busybox", "true")
    assert done.returncode == 125
    assert "the container's /dev has no null device" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("path", ["/dev/shm", "/dev/mqueue", "/dev/pts"])
def test_a_mount_replaces_a_default_one(pyctr: Pyctr, path: str) -> None:
    script = f"echo kept >{path}/file; grep -c ' {path} ' /proc/mounts"
    assert pyctr("run", "--rm", "-v", f"data:{path}", "busybox", "sh", "-c", script, check=True).stdout == "1\n"
    assert (pyctr.root / "volumes/data/_data/file").read_text() == "kept\n"


def test_init_is_visible_in_a_volume_on_sbin(pyctr: Pyctr) -> None:
    done = pyctr("run", "--rm", "--init", "-v", "sbin:/sbin", "busybox", "cat", "/proc/1/cmdline", check=True)
    assert done.stdout.startswith("/sbin/docker-init\0--\0cat\0")


@pytest.mark.parametrize("umask", [0, 0o077])
def test_a_missing_source_of_v_is_created_again(pyctr: Pyctr, tmp_path: Path, umask: int) -> None:
    """A reboot empties /run and /tmp."""
    source = tmp_path / "gone/below"
    before = os.umask(umask)
    try:
        pyctr("create", "--name", "box", "-v", f"{source}:/x", "busybox", "touch", "/x/file", check=True)
        for verb in (("start", "-a", "box"), ("start", "-a", "box"), ("cp", "box:/x", "-"), ("restart", "box")):
            shutil.rmtree(tmp_path / "gone")
            done = pyctr(*verb)
            assert (done.returncode, done.stderr) == (0, ""), done.stderr
            assert stat.S_IMODE(source.stat().st_mode) == stat.S_IMODE(source.parent.stat().st_mode) == 0o755
    finally:
        os.umask(before)


def test_a_missing_source_of_mount_is_an_error(pyctr: Pyctr, tmp_path: Path) -> None:
    source = tmp_path / "gone"
    source.mkdir()
    pyctr("create", "--name", "box", "--mount", f"type=bind,src={source},dst=/x", "busybox", check=True)
    source.rmdir()
    for verb in (("start", "box"), ("cp", "box:/x", "-"), ("cp", "box:/etc/passwd", "-")):
        done = pyctr(*verb)
        assert done.returncode == 1
        assert f"bind source path does not exist: {source}" in done.stderr
    assert not source.exists()
    source.mkdir()
    assert pyctr("start", "box").returncode == 0


@pytest.mark.parametrize("kind", ["large", "fifo", "binary"])
def test_files_of_another_container_are_read_up_to_a_limit(pyctr: Pyctr, kind: str) -> None:
    """A container can write anything to its own /etc/hosts."""
    script = {
        "large": "yes '10.0.0.1 name' | head -c 3000000 >/etc/hosts; truncate -s 1T /etc/hosts",
        "fifo": "mkfifo /etc/x; cat /etc/x >/etc/hosts & true",
        "binary": "head -c 100000 /dev/urandom >/etc/hosts",
    }[kind]
    pyctr("run", "-d", "--name", "one", "busybox", "sh", "-c", f"{script}; sleep 1000", check=True)
    pyctr("exec", "one", "sh", "-c", "until pidof sleep; do :; done", check=True)
    done = pyctr("run", "--rm", "--net", "container:one", "busybox", "wc", "-c", "/etc/hosts", check=True)
    assert int(done.stdout.split()[0]) <= 1 << 20
    pyctr("kill", "one", check=True)
    pyctr("start", "one", check=True)


def test_a_data_directory_moved_by_the_administrator_is_left_alone(pyctr: Pyctr, tmp_path: Path) -> None:
    """`_data` is a link to another disk: the engine puts nothing next to the link's target."""
    pyctr("volume", "create", "data", check=True)
    data = pyctr.root / "volumes/data/_data"
    data.rmdir()
    (tmp_path / "disk").mkdir()
    data.symlink_to(tmp_path / "disk")
    pyctr("run", "--rm", "-v", "data:/etc", "busybox", "touch", "/etc/file", check=True)
    assert sorted(os.listdir(tmp_path / "disk")) == ["file", "hostname", "hosts", "resolv.conf"]
    assert sorted(os.listdir(data.parent)) == ["_data", "volume.json"]
