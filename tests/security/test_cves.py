"""Published escapes from containers: each test repeats the attack, which must fail.

SECURITY.md has the whole table. Other modules: users and capabilities (test_cve_accounts), images and archives
(test_cve_images, test_layer_hostile, test_bombs), mounts and devices (test_cve_mounts), other users of the host
(test_cve_state).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pyctr_lite.linux import mountinfo
from tests.conftest import Pyctr
from tests.person import at_terminal
from tests.runtime.bundles import Box

NOBODY = 65534
OUTSIDE = "pyctr-outside"


def test_a_link_swapped_during_a_mount_is_not_followed(pyctr: Pyctr, tmp_path: Path) -> None:
    """CVE-2021-30465: one container swaps a directory of a shared volume for a link to /, another mounts on it."""
    outside = tmp_path / OUTSIDE
    outside.mkdir()
    up = "../" * 8
    swap = f"cd /shared; mkdir d; while :; do ln -s {up}{outside} l; mv d x; mv l d; rm d; mv x d; done"
    pyctr("run", "-d", "--name", "swapper", "-v", "shared:/shared", "busybox", "sh", "-c", swap, check=True)
    for _ in range(25):
        script = "grep -c ' /shared' /proc/self/mountinfo; echo x >/shared/d/mine"
        pyctr("run", "--rm", "-v", "shared:/shared", "-v", "other:/shared/d", "busybox", "sh", "-c", script)
    pyctr("rm", "-f", "swapper", check=True)
    assert list(outside.iterdir()) == []
    assert not any(OUTSIDE in mount.mountpoint for mount in mountinfo.mounts())


@pytest.mark.parametrize("path", ["/dev/console", "/dev/pts/0", "/dev/ptmx"])
def test_a_terminal_is_never_bound_through_a_link_of_the_image(box: Box, tmp_path: Path, path: str) -> None:
    """CVE-2025-52565: the image has a link to a file of /proc at the path of the terminal's bind."""
    box.process["terminal"] = True
    box.config["mounts"] = [mount for mount in box.config["mounts"] if not mount["destination"].startswith("/dev")]
    (box.rootfs / "dev/pts").mkdir(parents=True)
    victim = tmp_path / "victim"
    victim.write_text("as before")
    (box.rootfs / path[1:]).symlink_to(f"../../../../../../..{victim}")
    box.run("sh", "-c", "echo attacked >/dev/console; echo attacked")
    assert victim.read_text() == "as before"
    assert not any(str(victim) in mount.mountpoint for mount in mountinfo.mounts())


def test_writes_to_proc_reach_the_kernels_proc(box: Box, tmp_path: Path) -> None:
    """CVE-2025-52881: a tmpfs in place of /proc absorbs the runtime's writes (sysctls, labels)."""
    box.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    before = Path("/proc/sys/net/ipv4/ip_forward").read_text()
    assert box.run("cat", "/proc/sys/net/ipv4/ip_forward").stdout == "1\n"
    for mount in box.config["mounts"]:
        if mount["destination"] == "/proc":
            mount |= {"type": "tmpfs", "source": "tmpfs", "options": []}
    assert "it would hide the kernel's own /proc" in box.fails("true")["message"]
    assert Path("/proc/sys/net/ipv4/ip_forward").read_text() == before


@pytest.mark.parametrize("path", ["/proc", "/proc/sys", "/proc/self", "/sys/kernel"])
def test_a_volume_of_an_image_over_proc_is_refused(pyctr: Pyctr, path: str) -> None:
    """CVE-2019-16884: `VOLUME /proc` of an image would remove the masked and read-only paths."""
    pyctr("create", "--name", "maker", "busybox", "true", check=True)
    pyctr("commit", "-c", f"VOLUME {path}", "maker", "hostile", check=True)
    script = "cat /proc/self/attr/current /proc/1/comm; echo 1 >/proc/sys/kernel/domainname"
    done = pyctr("run", "--rm", "hostile", "sh", "-c", script)
    assert done.returncode != 0
    assert done.returncode == 125 or "Read-only file system" in done.stderr or "nonexistent" in done.stderr


def test_the_release_agent_of_cgroups_cannot_be_written(pyctr: Pyctr) -> None:
    """CVE-2022-0492: a container that can write its cgroup's release_agent runs a program on the host."""
    script = (
        "find /sys/fs/cgroup -name release_agent -o -name notify_on_release | "
        "while read f; do (echo /x >$f) 2>/dev/null && echo written; done; true"
    )
    assert pyctr("run", "--rm", "busybox", "sh", "-c", script).stdout == ""
    made = pyctr("run", "--rm", "busybox", "sh", "-c", "mkdir /m && mount -t cgroup -o memory cgroup /m")
    assert made.returncode != 0
    space = pyctr(
        "run", "--rm", "busybox", "unshare", "-UrmC", "sh", "-c", "mount -t cgroup -o memory cgroup /mnt"
    )
    assert space.returncode != 0


def test_the_monitors_sockets_are_not_in_the_network_namespace(pyctr: Pyctr) -> None:
    """CVE-2020-15257: abstract sockets belong to the network namespace, and every process in it may connect."""
    pyctr("run", "-d", "--name", "box", "--net", "host", "busybox", "sleep", "60", check=True)
    names = [line.split()[-1] for line in Path("/proc/net/unix").read_text().splitlines() if " @" in line]
    assert [name for name in names if "pyctr" in name or str(pyctr.root) in name] == []
    inside = pyctr("exec", "box", "cat", "/proc/net/unix").stdout
    assert not any(line.split()[-1].startswith("@") and "pyctr" in line for line in inside.splitlines())


@pytest.mark.usefixtures("reachable")
def test_a_host_user_cannot_run_a_setuid_program_of_a_container(pyctr: Pyctr) -> None:
    """CVE-2021-41091: a setuid program made by root inside is reached by its path in the state directory."""
    script = "cp /bin/busybox /tool; chmod 4755 /tool"
    pyctr(
        "run",
        "--name",
        "box",
        "-v",
        "data:/data",
        "busybox",
        "sh",
        "-c",
        f"{script}; cp -p /tool /data",
        check=True,
    )
    id = pyctr("inspect", "-f", "{{.Id}}", "box").stdout.strip()
    for tool in (
        pyctr.root / "containers" / id / "upper/tool",
        pyctr.root / "volumes/data/_data/tool",
        next((pyctr.root / "layers").glob("*/bin/busybox")),
    ):
        assert tool.exists()
        with pytest.raises(PermissionError):
            subprocess.run([tool, "id"], user=NOBODY, group=NOBODY, extra_groups=[])


def test_the_entering_process_cannot_be_traced_or_read_from_inside(pyctr: Pyctr) -> None:
    """CVE-2016-9962: a process inside reaches the runtime's open files, by ptrace or /proc, while it enters."""
    watch = (
        "while :; do for p in /proc/[0-9]*; do [ $p = /proc/1 ] || [ $p = /proc/$$ ] || "
        "{ [ -e $p/fd/3 ] && tr '\\0' ' ' <$p/cmdline | grep -q python && ls -l $p/fd 2>/dev/null; }; done; done"
    )
    pyctr("run", "-d", "--name", "box", "busybox", "sh", "-c", watch, check=True)
    for _ in range(10):
        pyctr("exec", "box", "true", check=True)
    seen = pyctr("logs", "box").stdout
    assert "->" not in seen, seen


def test_a_container_does_not_hold_the_callers_terminal(pyctr: Pyctr) -> None:
    """TIOCSTI (CVE-2017-5226 and similar): bytes pushed into the caller's terminal become its next command."""
    command = pyctr.command(
        "run", "--rm", "-i", "busybox", "sh", "-c", "ls -l /proc/self/fd; cat /dev/tty 2>&1; echo end"
    )
    with at_terminal(command) as person:
        shown = person.sees("end\r\n")
        person.leaves()
    assert "/dev/pts" not in shown
    assert "can't open '/dev/tty'" in shown


def test_the_environment_cannot_change_the_launchers_python(pyctr: Pyctr, tmp_path: Path) -> None:
    """CVE-2019-14271 and similar: an attacker chooses the code that is loaded while a container is entered."""
    (tmp_path / "sitecustomize.py").write_text("print('attacked')")
    (tmp_path / "os.py").write_text("print('attacked')")
    given = {"PYTHONPATH": str(tmp_path), "PYTHONSTARTUP": str(tmp_path / "os.py"), "PYTHONHOME": str(tmp_path)}
    done = pyctr("run", "--rm", "-e", "PYTHONPATH", "busybox", "echo", "fine", env=given, cwd=tmp_path)
    assert (done.stdout, done.returncode) == ("fine\n", 0)


def test_exec_loads_no_library_of_the_image(pyctr: Pyctr) -> None:
    """CVE-2019-14271: the image's C library and name services are hostile; an exec loads none of them."""
    script = (
        "mkdir -p /lib/x86_64-linux-gnu /usr/lib/x86_64-linux-gnu /etc;"
        "echo junk >/lib/x86_64-linux-gnu/libnss_files.so.2; echo junk >/usr/lib/x86_64-linux-gnu/libc.so.6;"
        "echo 'passwd: evil files' >/etc/nsswitch.conf; echo 'me:x:77:88::/home/me:/bin/sh' >/etc/passwd;"
        "echo /evil.so >/etc/ld.so.preload; sleep 60"
    )
    pyctr("run", "-d", "--name", "box", "busybox", "sh", "-c", script, check=True)
    while pyctr("exec", "box", "test", "-e", "/etc/ld.so.preload").returncode:
        time.sleep(0.02)
    assert pyctr("exec", "-u", "me", "box", "id", "-u").stdout == "77\n"


def test_a_program_sees_no_path_of_the_host(pyctr: Pyctr) -> None:
    """Its environment, arguments and memory map contain no path of the host."""
    done = pyctr(
        "run", "--rm", "busybox", "sh", "-c", "tr '\\0' '\\n' </proc/1/environ; cat /proc/1/cmdline /proc/1/maps"
    )
    assert str(pyctr.root) not in done.stdout
    assert os.path.dirname(sys.executable) not in done.stdout


def test_a_mountpoint_through_a_swapped_link_makes_no_file_on_the_host(pyctr: Pyctr, tmp_path: Path) -> None:
    """CVE-2024-45310: a mountpoint whose parents are swapped for links created empty files on the host."""
    outside = tmp_path / OUTSIDE
    outside.mkdir()
    link = f"ln -s ../../../../../../../..{outside} /shared/l"
    pyctr("run", "--rm", "-v", "shared:/shared", "busybox", "sh", "-c", link, check=True)
    pyctr("run", "--rm", "-v", "shared:/shared", "-v", "x:/shared/l/a/b", "busybox", "true")
    (tmp_path / "file").write_text("x")
    pyctr("run", "--rm", "-v", "shared:/shared", "-v", f"{tmp_path}/file:/shared/l/c", "busybox", "true")
    assert list(outside.iterdir()) == []
    shutil.rmtree(outside)
