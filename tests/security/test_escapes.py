"""Images and processes that attack the host while a container is entered. Each attempt fails in one clear line."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from tests.conftest import Pyctr

INTERPRETER = Path(os.path.realpath(sys.executable))


def digest() -> str:
    return hashlib.sha256(INTERPRETER.read_bytes()).hexdigest()


def image_with(pyctr: Pyctr, tmp_path: Path, script: str) -> str:
    """Return an image of busybox that a shell script has changed."""
    pyctr("run", "--name", "maker", "busybox", "sh", "-ec", script, check=True)
    pyctr("commit", "maker", "hostile", check=True)
    pyctr("rm", "maker", check=True)
    return "hostile"


@pytest.mark.parametrize(
    "script",
    [
        "ln -s /proc/self/exe /evil",
        "ln -s /proc/1/exe /evil",
        "printf '#!/proc/self/exe\\n' >/evil; chmod 755 /evil",
        "printf '#!/step\\n' >/evil; printf '#!/proc/self/exe\\n' >/step; chmod 755 /evil /step",
        "ln -s /proc/thread-self/exe /link; ln -s /link /evil",
    ],
)
def test_the_hosts_interpreter_is_never_run_for_an_image(pyctr: Pyctr, tmp_path: Path, script: str) -> None:
    """CVE-2019-5736: the program leads to the runtime's own executable."""
    before = digest()
    image = image_with(pyctr, tmp_path, script)
    done = pyctr("run", "--rm", image, "/evil")
    assert done.returncode == 126
    assert len(done.stderr.splitlines()) <= 2, done.stderr
    pyctr("run", "-d", "--name", "box", image, "sleep", "60", check=True)
    done = pyctr("exec", "box", "/evil")
    assert done.returncode == 126
    assert digest() == before


def test_an_ordinary_script_and_its_interpreter_run(pyctr: Pyctr, tmp_path: Path) -> None:
    image = image_with(
        pyctr, tmp_path, "printf '#!/bin/sh -u\\necho $0 $1\\n' >/good; chmod 755 /good; ln -s good /link"
    )
    assert pyctr("run", "--rm", image, "/link", "x").stdout == "/link x\n"
    pyctr("run", "-d", "--name", "box", image, "sleep", "60", check=True)
    assert pyctr("exec", "box", "/link", "y").stdout == "/link y\n"


@pytest.mark.parametrize("number", [3, 7, 10, 14])
def test_the_working_directory_is_not_a_descriptor_of_the_host(pyctr: Pyctr, number: int) -> None:
    """CVE-2024-21626: a leaked descriptor of the host is used as the working directory."""
    done = pyctr("run", "--rm", "-w", f"/proc/self/fd/{number}", "busybox", "ls", "../../../..")
    assert done.returncode == 125, done.stdout
    pyctr("run", "-d", "--name", "box", "busybox", "sleep", "60", check=True)
    assert pyctr("exec", "-w", f"/proc/self/fd/{number}", "box", "ls").returncode not in (0, 1)


LOOK = "for n in 3 4 5 6 7 8 9 10 11 12 13 14 15 16 20 30; do [ -e /proc/$$/fd/$n ] && echo $n; done; echo end"


def test_only_three_descriptors_are_open_inside(pyctr: Pyctr, tmp_path: Path) -> None:
    secret = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(secret, True)
    try:
        pyctr("run", "-d", "--name", "box", "busybox", "sleep", "60", check=True)
        for args in (["run", "--rm", "busybox"], ["exec", "box"]):
            command = pyctr.command(*args, "sh", "-c", LOOK)
            done = subprocess.run(command, pass_fds=[secret], capture_output=True, text=True, check=False)
            assert done.stdout == "end\n"
    finally:
        os.close(secret)


def test_the_check_for_open_descriptors_finds_one(pyctr: Pyctr) -> None:
    done = pyctr("run", "--rm", "busybox", "sh", "-c", f"exec 5</etc/passwd; {LOOK}")
    assert done.stdout == "5\nend\n"


def test_python_modules_of_the_image_are_never_imported(pyctr: Pyctr, tmp_path: Path) -> None:
    """The image has modules at the paths that the host's Python searches: none runs with the engine's rights."""
    trap = "import os; os.open('/trapped', os.O_CREAT)\n"
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    paths = [
        "json/__init__.py",
        "traceback.py",
        "linecache.py",
        "encodings/idna.py",
        "pyctr_lite/errors.py",
        "re/__init__.py",
    ]
    archive = tmp_path / "trap.tar"
    with tarfile.open(archive, "w") as tar:
        for top in ("", f"usr/lib/{version}/", str(Path(__file__).resolve().parents[2])[1:] + "/"):
            for path in paths:
                entry = tarfile.TarInfo(top + path)
                entry.size = len(trap)
                tar.addfile(entry, BytesIO(trap.encode()))
    pyctr(
        "run",
        "--name",
        "maker",
        "-v",
        f"{tmp_path}:/x:ro",
        "busybox",
        "tar",
        "xf",
        "/x/trap.tar",
        "-C",
        "/",
        check=True,
    )
    pyctr("commit", "maker", "trap", check=True)
    pyctr("rm", "maker", check=True)
    env = {"PYTHONPATH": "/", "PYTHONSTARTUP": "/traceback.py"}
    for args in (["true"], ["/nosuch"], ["-u", "1:1", "id"]):
        name = f"box{len(args[0])}"
        pyctr("run", "--name", name, "-e", "PYTHONPATH=/", *args[:-1], "trap", args[-1], env=env)
        assert "/trapped" not in pyctr("diff", name).stdout
    assert not os.path.exists("/trapped")


def test_capabilities_are_dockers_defaults_and_none_is_inheritable(pyctr: Pyctr) -> None:
    """CVE-2022-29162: inheritable capabilities come back through a file's inheritable capabilities."""
    text = pyctr("run", "--rm", "busybox", "grep", "Cap", "/proc/self/status").stdout
    sets = dict(line.split(":\t") for line in text.splitlines())
    assert sets == {
        "CapInh": "0" * 16,
        "CapPrm": "00000000a80425fb",
        "CapEff": "00000000a80425fb",
        "CapBnd": "00000000a80425fb",
        "CapAmb": "0" * 16,
    }
    pyctr("run", "-d", "--name", "box", "busybox", "sleep", "60", check=True)
    assert pyctr("exec", "box", "grep", "Cap", "/proc/self/status").stdout == text
    none = pyctr("run", "--rm", "--cap-drop", "all", "busybox", "grep", "CapBnd", "/proc/self/status").stdout
    assert none.split()[1] == "0" * 16


@pytest.mark.parametrize("path", ["/proc/kcore", "/proc/keys", "/proc/timer_list"])
def test_masked_paths_are_empty(pyctr: Pyctr, path: str) -> None:
    if not os.path.exists(path):
        pytest.skip(f"this kernel has no {path}")
    assert pyctr("run", "--rm", "busybox", "sh", "-c", f"head -c 1 {path} | wc -c").stdout.strip() == "0"


def test_read_only_paths_refuse_writes_unless_privileged(pyctr: Pyctr) -> None:
    write = "echo 1 >/proc/sys/kernel/domainname"
    assert "Read-only file system" in pyctr("run", "--rm", "busybox", "sh", "-c", write).stderr
    assert pyctr("run", "--rm", "--privileged", "busybox", "sh", "-c", write).returncode == 0


def test_the_hosts_disks_cannot_be_opened(pyctr: Pyctr) -> None:
    disk = os.stat("/").st_dev
    make = f"mknod /d b {os.major(disk)} {os.minor(disk)} && dd if=/d of=/dev/null bs=1 count=1"
    done = pyctr("run", "--rm", "busybox", "sh", "-c", make)
    assert done.returncode != 0
    assert "Operation not permitted" in done.stderr


@pytest.mark.parametrize("link", ["/proc", "/sys"])
@pytest.mark.parametrize("target", ["bin", "/../../tmp", "/proc/self/root"])
def test_a_link_in_place_of_proc_is_not_followed(pyctr: Pyctr, tmp_path: Path, link: str, target: str) -> None:
    """CVE-2019-16884: an image whose /proc leads elsewhere would escape the masks."""
    archive = tmp_path / "image.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add("/bin/busybox", "bin/busybox", recursive=False)
        for name, leads in (("bin/stat", "busybox"), (link[1:], target)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, leads
            tar.addfile(entry)
    pyctr("import", archive, "linked", check=True)
    done = pyctr("run", "--rm", "linked", "/bin/stat", "-f", "-c", "%T", link)
    if target == "bin":  # the link's target exists: refused
        assert done.returncode == 125
        assert "symbolic link" in done.stderr
    else:  # the link dangles: a directory of the Init layer replaces it
        assert done.stdout == link[1:].replace("sys", "sysfs") + "\n", done.stderr


def test_mountpoints_through_links_stay_inside(pyctr: Pyctr, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    image = image_with(pyctr, tmp_path, f"ln -s ../../../../../..{outside} /out; true")
    done = pyctr(
        "run", "--rm", "-v", "data:/out/new", image, "sh", "-c", "echo x >/out/new/file; mount | grep -c new"
    )
    assert done.stdout == "1\n", done.stderr
    assert list(outside.iterdir()) == []
