"""`cp` and `export`: where files are copied to, and protection against a hostile container."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Pyctr


@pytest.fixture(params=["running", "stopped"])
def box(request: pytest.FixtureRequest, pyctr: Pyctr) -> str:
    """A container with a volume, running or exited."""
    pyctr("run", "-d", "--name", "box", "-v", "data:/data", "busybox", "sleep", "1000", check=True)
    pyctr("exec", "box", "sh", "-c", "mkdir -p /tree/sub; echo one >/tree/one; ln -s one /tree/link", check=True)
    if request.param == "stopped":
        pyctr("kill", "box", check=True)
    return "box"


def tar_names(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return tar.getnames()


def raw(pyctr: Pyctr, *args: str, input: bytes | None = None) -> bytes:
    return subprocess.run(pyctr.command(*args), input=input, capture_output=True, check=True).stdout


def test_a_file_is_copied_out_to_a_name_or_into_a_directory(pyctr: Pyctr, box: str, tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    for name in ("name", "dir", "dir/"):
        done = pyctr("cp", "box:/tree/one", str(tmp_path / name), check=True)
        assert done.stdout == done.stderr == ""
    assert (tmp_path / "name").read_text() == (tmp_path / "dir/one").read_text() == "one\n"


def test_a_directory_is_copied_as_a_new_one_or_into_one_or_by_its_contents(
    pyctr: Pyctr, box: str, tmp_path: Path
) -> None:
    for name in ("in", "contents"):
        (tmp_path / name).mkdir()
    pyctr("cp", "box:/tree", str(tmp_path / "new"), check=True)
    pyctr("cp", "box:/tree", str(tmp_path / "in"), check=True)
    pyctr("cp", "box:tree/.", str(tmp_path / "contents"), check=True)
    for name in ("new", "in/tree", "contents"):
        assert sorted(os.listdir(tmp_path / name)) == ["link", "one", "sub"]
        assert os.readlink(tmp_path / name / "link") == "one"


def test_a_file_and_a_tree_are_copied_in_and_belong_to_root(pyctr: Pyctr, box: str, tmp_path: Path) -> None:
    source = tmp_path / "site"
    (source / "css").mkdir(parents=True)
    (source / "css/a").write_text("a")
    (source / "b").write_text("b")
    os.chown(source / "b", 1234, 1235)
    os.chmod(source / "b", 0o4751)
    os.utime(source / "b", (1_000_000_000, 1_000_000_000))
    pyctr("cp", str(source), "box:/srv", check=True)
    pyctr("cp", "-a", str(source), "box:/data", check=True)
    pyctr("cp", str(source / "b"), "box:/data/name", check=True)
    with tarfile.open(fileobj=io.BytesIO(raw(pyctr, "cp", "box:/srv/b", "-"))) as tar:
        (member,) = tar.getmembers()
        assert (member.uid, member.gid, member.mode, member.mtime) == (0, 0, 0o4751, 1_000_000_000)
    with tarfile.open(fileobj=io.BytesIO(raw(pyctr, "cp", "box:/data", "-"))) as tar:
        assert sorted(tar.getnames()) == [
            "data",
            "data/name",
            "data/site",
            "data/site/b",
            "data/site/css",
            "data/site/css/a",
        ]
        assert (tar.getmember("data/site/b").uid, tar.getmember("data/site/b").gid) == (1234, 1235)
    assert (pyctr.root / "volumes/data/_data/name").read_text() == "b"


def test_a_tar_stream_is_copied_in_and_out(pyctr: Pyctr, box: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x" * 100_000)
    packed = subprocess.run(["tar", "-C", tmp_path, "-c", "x"], capture_output=True, check=True).stdout
    raw(pyctr, "cp", "-", "box:/data", input=packed)
    assert tar_names(raw(pyctr, "cp", "box:/data", "-")) == ["data", "data/x"]
    assert tar_names(raw(pyctr, "cp", "box:/data/x", "-")) == ["x"]
    assert sorted(tar_names(raw(pyctr, "cp", "box:/data/.", "-"))) == [".", "x"]


def test_links_are_copied_as_links_unless_follow_link_is_given(pyctr: Pyctr, box: str, tmp_path: Path) -> None:
    pyctr("cp", "box:/tree/link", str(tmp_path / "link"), check=True)
    pyctr("cp", "-L", "box:/tree/link", str(tmp_path / "file"), check=True)
    assert os.readlink(tmp_path / "link") == "one"
    assert (tmp_path / "file").read_text() == "one\n"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["box:/nothing", "HERE"], "Could not find the file /nothing in container box"),
        (["box:/tree/one/", "HERE"], "not a directory"),
        (["box:/tree", "HERE/file"], "cannot copy directory"),
        (["box:/tree/one", "HERE/none/"], "no such directory"),
        (["box:/tree/one", "HERE/none/x"], 'invalid output path: directory "HERE/none" does not exist'),
        (["box:/tree/one", "/dev/null"], "must be a directory or a regular file"),
        (["HERE/none", "box:/"], "lstat HERE/none: no such file or directory"),
        (["HERE/file", "box:/none/x"], "Could not find the file /none in container box"),
        (["HERE/file", "box:/none/"], "no such directory"),
        (["HERE", "box:/tree/one"], "cannot copy directory"),
        (["-", "box:/none"], "Could not find the file /none in container box"),
        (["HERE", "HERE"], "must specify at least one container source"),
        (["box:/a", "box:/b"], "copying between containers is not supported"),
        (["nobody:/a", "HERE"], "No such container: nobody"),
    ],
)
def test_a_failed_copy_is_reported_and_creates_nothing(
    pyctr: Pyctr, tmp_path: Path, args: list[str], message: str
) -> None:
    pyctr("run", "--name", "box", "busybox", "sh", "-c", "mkdir /tree; echo one >/tree/one", check=True)
    here = tmp_path / "here"
    here.mkdir()
    (here / "file").touch()
    done = pyctr("cp", *(arg.replace("HERE", str(here)) for arg in args))
    assert done.returncode == 1
    assert message.replace("HERE", str(here)) in done.stderr
    assert os.listdir(here) == ["file"]


def test_a_directory_never_replaces_a_file_nor_a_file_a_directory(pyctr: Pyctr, tmp_path: Path) -> None:
    pyctr("run", "--name", "box", "busybox", "sh", "-c", "mkdir -p /d/x /f; touch /f/x", check=True)
    (tmp_path / "x").mkdir()
    assert (
        'cannot overwrite non-directory "/f/x" with directory' in pyctr("cp", str(tmp_path / "x"), "box:/f").stderr
    )
    (tmp_path / "y").mkdir()
    (tmp_path / "y/x").touch()
    done = pyctr("cp", str(tmp_path / "y/x"), "box:/d")
    assert (done.returncode, 'cannot overwrite directory "/d/x" with non-directory' in done.stderr) == (1, True)


def test_the_kernels_files_are_not_copied(pyctr: Pyctr, tmp_path: Path) -> None:
    pyctr("run", "-d", "--name", "box", "busybox", "sleep", "1000", check=True)
    done = pyctr("cp", "box:/proc/version", str(tmp_path))
    assert (done.returncode, "cannot copy /proc/version: it is generated by the kernel" in done.stderr) == (
        1,
        True,
    )
    names = tar_names(raw(pyctr, "cp", "box:/", "-"))
    assert "proc" in names
    assert [name for name in names if name.startswith(("proc/", "sys/", "dev/"))] == []


def test_a_read_only_container_accepts_copies_into_its_volumes_only(pyctr: Pyctr, tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    pyctr(
        "run",
        "-d",
        "--name",
        "box",
        "--read-only",
        "-v",
        "vol:/v",
        "-v",
        "other:/r:ro",
        "busybox",
        "sleep",
        "99",
        check=True,
    )
    for _ in ("running", "stopped"):
        assert "Read-only file system" in pyctr("cp", str(tmp_path / "x"), "box:/").stderr
        assert "Read-only file system" in pyctr("cp", str(tmp_path / "x"), "box:/r").stderr
        pyctr("cp", str(tmp_path / "x"), "box:/v", check=True)
        pyctr("kill", "box")


# --- hostile ---------------------------------------------------------------------------------------------


def test_links_in_a_container_never_lead_out_of_it(pyctr: Pyctr, box: str, tmp_path: Path) -> None:
    """CVE-2018-15664, without a race."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "secret").write_text("of the host")
    links = io.BytesIO()
    with tarfile.open(fileobj=links, mode="w") as tar:
        for name, target in {"abs": str(victim), "up": "../../../../../../" + str(victim)}.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    raw(pyctr, "cp", "-", "box:/", input=links.getvalue())
    (tmp_path / "x").write_text("x")
    for name in ("abs", "up"):
        assert pyctr("cp", f"box:/{name}/secret", str(tmp_path / "got")).returncode == 1
        assert pyctr("cp", "-L", f"box:/{name}", str(tmp_path / "got")).returncode == 1
        assert pyctr("cp", str(tmp_path / "x"), f"box:/{name}/x").returncode == 1
    assert os.listdir(victim) == ["secret"]
    assert not (tmp_path / "got").exists()


def test_a_link_swapped_in_during_a_copy_never_leads_out_of_the_container(pyctr: Pyctr, tmp_path: Path) -> None:
    """CVE-2018-15664: a directory is repeatedly exchanged for a link to the host during the copy."""
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "file").write_text("of the host")
    swap = (
        f"mkdir -p /a {victim}; echo inside >/a/file; echo inside >{victim}/file; ln -s {victim} /b; echo ready; "
        "while :; do mv /a /swap; mv /swap /a; mv /b /swap; mv /swap /b; done"
    )
    pyctr("run", "-d", "--name", "box", "busybox", "sh", "-c", swap, check=True)
    with subprocess.Popen(pyctr.command("logs", "-f", "box"), stdout=subprocess.PIPE) as logs:
        assert logs.stdout is not None
        assert logs.stdout.readline() == b"ready\n"
        logs.terminate()
    (tmp_path / "file").write_text("ours")
    worked = 0
    for number in range(20):
        got = tmp_path / f"got{number}"
        if pyctr("cp", "-L", "box:/swap/file", str(got)).returncode == 0:
            worked += 1
            assert got.read_text() in ("inside\n", "ours")
        pyctr("cp", str(tmp_path / "file"), "box:/swap/file")
        pyctr("cp", str(tmp_path / "file"), "box:/swap/new")
    assert os.listdir(victim) == ["file"]
    assert (victim / "file").read_text() == "of the host"
    assert worked > 0


def test_cp_neither_runs_nor_loads_anything_of_the_container(
    pyctr: Pyctr, tmp_path: Path, needs: Callable[[str], str]
) -> None:
    """CVE-2019-14271: no chroot, no program, and only the host's libraries."""
    pyctr("run", "-d", "--name", "box", "busybox", "sh", "-c", "mkdir -p /lib; sleep 1000", check=True)
    trace = tmp_path / "trace"
    calls = "execve,execveat,chroot,pivot_root,mmap,openat,openat2"
    command = [needs("strace"), "-f", "-y", "-e", f"trace={calls}", "-o", str(trace)]
    for args in (["box:/etc", str(tmp_path / "etc")], [str(tmp_path / "trace"), "box:/t"]):
        subprocess.run([*command, *pyctr.command("cp", *args)], check=True, capture_output=True)
        lines = trace.read_text().splitlines()
        assert lines
        assert [line for line in lines if "chroot(" in line or "pivot_root(" in line] == []
        mapped = [line for line in lines if "mmap(" in line and "PROT_EXEC" in line]
        assert [line for line in mapped if "/upper/" in line or "/layers/" in line or "overlay" in line] == []
        programs = [line for line in lines if "exec" in line.split("(")[0] and "= 0" in line]
        assert [line for line in programs if "python" not in line and "pyctr_lite" not in line] == []


def test_devices_and_setuid_bits_are_not_copied_to_the_host(pyctr: Pyctr, tmp_path: Path) -> None:
    bad = "mkdir /bad; mknod /bad/disk b 8 0; cp /bin/busybox /bad/su; chmod 6755 /bad/su; mkfifo /bad/pipe"
    pyctr("run", "--name", "box", "busybox", "sh", "-c", bad, check=True)
    done = pyctr("cp", "box:/bad", str(tmp_path / "out"), check=True)
    assert done.stderr == "pyctr_lite: not copied: out/disk\n"
    assert sorted(os.listdir(tmp_path / "out")) == ["pipe", "su"]
    assert stat.S_IMODE((tmp_path / "out/su").stat().st_mode) == 0o755
    pyctr("cp", "-a", "box:/bad/su", str(tmp_path / "kept"), check=True)
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o6755


def test_a_link_left_by_an_earlier_copy_is_not_followed(pyctr: Pyctr, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    pyctr("run", "-d", "--name", "box", "busybox", "sleep", "1000", check=True)
    pyctr("exec", "box", "sh", "-c", f"mkdir /site; ln -s {victim} /site/x", check=True)
    pyctr("cp", "box:/site/.", str(tmp_path / "site"), check=True)
    pyctr("exec", "box", "sh", "-c", "rm /site/x; mkdir /site/x; echo bad >/site/x/file", check=True)
    done = pyctr("cp", "box:/site/.", str(tmp_path / "site"))
    assert done.returncode == 1
    assert f'cannot overwrite non-directory "{tmp_path}/site/x" with directory' in done.stderr
    assert os.listdir(victim) == []


@pytest.mark.parametrize("name", ["../out", "a/../../out", "/../out"])
def test_a_tar_stream_with_names_that_lead_upwards_is_refused(pyctr: Pyctr, box: str, name: str) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(name))
    done = subprocess.run(pyctr.command("cp", "-", "box:/data"), input=data.getvalue(), capture_output=True)
    assert done.returncode == 1
    assert b"leads outside" in done.stderr


# --- export ----------------------------------------------------------------------------------------------


def test_an_export_is_the_root_without_mounts(pyctr: Pyctr, box: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    pyctr("cp", str(tmp_path / "x"), "box:/data", check=True)
    pyctr("export", "-o", str(tmp_path / "out.tar"), "box", check=True)
    names = tar_names((tmp_path / "out.tar").read_bytes())
    assert {"tree/one", "tree/link", "bin/busybox", "data", "proc", "etc/hosts"} <= set(names)
    assert [name for name in names if name.startswith(("proc/", "sys/", "data/"))] == []
    assert raw(pyctr, "export", "box") == (tmp_path / "out.tar").read_bytes()
    pyctr("import", str(tmp_path / "out.tar"), "again", check=True)
    assert pyctr("run", "--rm", "again", "/bin/busybox", "cat", "/tree/one", check=True).stdout == "one\n"


def test_a_failed_export_leaves_no_partial_archive(pyctr: Pyctr, tmp_path: Path) -> None:
    assert pyctr("export", "-o", str(tmp_path / "out.tar"), "nobody").returncode == 1
    assert pyctr("export", "-o", str(tmp_path / "none/out.tar"), "nobody").returncode == 1
    assert os.listdir(tmp_path) == ["state"]


def test_hard_links_between_many_directories_are_kept(pyctr: Pyctr, box: str) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for number in range(600):
            tar.addfile(tarfile.TarInfo(f"many/{number}/file"))
        for number in range(599):
            member = tarfile.TarInfo(f"many/{number}/link")
            member.type, member.linkname = tarfile.LNKTYPE, f"many/{(number * 7 + 300) % 600}/file"
            tar.addfile(member)
    raw(pyctr, "cp", "-", "box:/data", input=data.getvalue())
    with tarfile.open(fileobj=io.BytesIO(raw(pyctr, "cp", "box:/data/many", "-"))) as tar:
        members = tar.getmembers()
    assert sum(member.islnk() for member in members) == 599
    assert len(members) == 1 + 600 + 600 + 599


def test_a_hard_link_to_a_device_is_not_copied_to_the_host_either(pyctr: Pyctr, tmp_path: Path) -> None:
    pyctr(
        "run",
        "--name",
        "box",
        "busybox",
        "sh",
        "-c",
        "mkdir /d; mknod /d/a c 1 3; ln /d/a /d/b; echo x >/d/c",
        check=True,
    )
    done = pyctr("cp", "box:/d", str(tmp_path / "d"), check=True)
    assert done.stderr.splitlines() == ["pyctr_lite: not copied: d/a", "pyctr_lite: not copied: d/b"]
    assert os.listdir(tmp_path / "d") == ["c"]
