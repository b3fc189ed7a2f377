"""A container's own /proc and /sys: no mount may cover them, and nothing in them affects the engine."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Pyctr
from tests.runtime.bundles import Box

HIDES = "it would hide the kernel's own"
LIE = "mkdir -p /lie/self; printf 'CapBnd:\\t0000000000000000\\n' >/lie/self/status; echo 0 >/lie/version; "


@pytest.fixture
def image(pyctr: Pyctr) -> str:
    """Return an image with links to /proc and /sys, and a directory of false files."""
    script = (
        LIE + "rm -rf /tmp /mnt; ln -s proc /tmp; ln -s ../../../../proc/../proc/self/../ /mnt; "
        "ln -s /sys/kernel /kernel; mkdir -p /a; ln -s ../proc/sys /a/b"
    )
    pyctr("run", "--name", "maker", "busybox", "sh", "-ec", script, check=True)
    for volume in ("/proc", "/proc/self", "/proc/sys/net", "/sys", "/sys/fs", "/tmp", "/kernel"):
        pyctr("commit", "-c", f"VOLUME {volume}", "maker", f"hostile:{volume[1:].replace('/', '-')}", check=True)
    pyctr("commit", "maker", "hostile", check=True)
    pyctr("rm", "maker", check=True)
    return "hostile"


def test_a_users_mount_on_proc_or_sys_is_refused(pyctr: Pyctr, image: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for flags in (
        ["-v", f"{tmp_path}:/proc"],
        ["-v", "data:/proc"],
        ["-v", "/proc"],
        ["-v", "data:/proc/self"],
        ["-v", "data:/proc/sys/kernel"],
        ["-v", f"{tmp_path}/file:/proc/version"],
        ["-v", f"{tmp_path}/file:/proc/sysrq-trigger"],
        ["-v", f"{tmp_path}/file:/proc/self/status"],
        ["-v", "/proc/sys:/proc"],
        ["-v", "/sys:/proc"],
        ["-v", "/proc:/sys"],
        ["-v", "/sys/kernel:/sys"],
        ["-v", "data:/sys"],
        ["-v", "data:/sys/kernel"],
        ["-v", "data:/sys/fs/cgroup"],
        ["--mount", "type=bind,src=/tmp,dst=/proc/tty"],
        ["--mount", "type=tmpfs,dst=/proc"],
        ["--mount", "type=tmpfs,dst=/sys/firmware"],
        ["--tmpfs", "/proc"],
        ["--tmpfs", "/proc/1"],
        ["--tmpfs", "/proc/missing"],
        ["--tmpfs", "/sys"],
        ["--tmpfs", "/sys/missing"],
        ["--tmpfs", "/proc/../proc/./sys/"],
        ["--tmpfs", "/tmp"],
        ["--tmpfs", "/tmp/sys"],
        ["--tmpfs", "/mnt"],
        ["--tmpfs", "/a/b"],
        ["-v", "data:/a/b/net"],
        ["-v", "data:/kernel"],
        ["--device", "/dev/null:/proc/null"],
        ["--device", "/dev/null:/tmp/version"],
        ["--device", "/dev/null:/kernel/null"],
    ):
        done = pyctr("run", "--rm", *flags, image, "true")
        assert (done.returncode, HIDES in done.stderr) == (125, True), (flags, done)
        assert len(done.stderr.splitlines()) <= 2
    assert pyctr("ps", "-aq").stdout == ""


@pytest.mark.parametrize("tag", ["proc", "proc-self", "proc-sys-net", "sys", "sys-fs", "tmp", "kernel"])
def test_an_images_volume_on_proc_or_sys_is_refused(pyctr: Pyctr, image: str, tag: str) -> None:
    for flags in ([], ["--cap-drop", "ALL"], ["--privileged"], ["--read-only"]):
        done = pyctr("run", "--rm", *flags, f"{image}:{tag}", "cat", "/proc/self/status")
        assert (done.returncode, HIDES in done.stderr, done.stdout) == (125, True, ""), done


def test_false_files_in_place_of_proc_give_no_capabilities(pyctr: Pyctr, image: str, root: Path) -> None:
    """The volume has `proc/self/status` with an empty bounding set: no capability would be dropped."""
    script = f"{LIE} cp -r /lie/. /data; true"
    pyctr("run", "--rm", "-v", "data:/data", "busybox", "sh", "-c", script, check=True)
    done = pyctr("run", "--rm", "--cap-drop", "ALL", "-v", "data:/proc", image, "true")
    assert (done.returncode, HIDES in done.stderr) == (125, True)


def test_exec_reads_nothing_from_a_proc_replaced_by_the_container(pyctr: Pyctr) -> None:
    """With SYS_ADMIN a container may mount any file system in its own mount namespace."""
    script = LIE + (
        "mkdir /real; mount -t proc real /real && mount -t tmpfs lie /proc && cp -r /lie/. /proc; "
        "touch /ready; sleep 60"
    )
    pyctr("run", "-d", "--name", "box", "--cap-add", "SYS_ADMIN", "busybox", "sh", "-c", script, check=True)
    wait = "until [ -e /ready ]; do sleep 0.1; done; grep -h Cap /real/1/status /real/self/status"
    lines = pyctr("exec", "box", "sh", "-c", wait, check=True).stdout.splitlines()
    assert lines[:5] == lines[5:]
    assert "CapBnd:\t00000000a82425fb" in lines
    for user in ("0", "1000", "nobody"):
        args = ("exec", "-u", user, "box", "grep", "-h", "CapBnd", "/real/self/status")
        assert pyctr(*args, check=True).stdout == "CapBnd:\t00000000a82425fb\n"


def test_a_health_check_reads_nothing_from_a_proc_replaced_by_the_container(pyctr: Pyctr) -> None:
    script = LIE + "mkdir /real; mount -t proc real /real && mount --bind /lie /proc; touch /ready; sleep 60"
    look = "[ -e /ready ] && grep -h CapBnd /real/self/status >/found.new && mv /found.new /found"
    flags = ("--cap-add", "SYS_ADMIN", "--health-interval", "200ms", "--health-cmd", look)
    pyctr("run", "-d", "--name", "box", *flags, "busybox", "sh", "-c", script, check=True)
    found = pyctr("exec", "box", "sh", "-c", "until [ -e /found ]; do sleep 0.1; done; cat /found", check=True)
    assert found.stdout == "CapBnd:\t00000000a82425fb\n"


@pytest.mark.parametrize(
    "mount",
    [
        {"destination": "/proc", "type": "tmpfs", "source": "tmpfs"},
        {"destination": "/proc", "type": "bind", "source": "/tmp", "options": ["bind"]},
        {"destination": "/proc/sys", "type": "tmpfs", "source": "tmpfs"},
        {"destination": "/proc/fs", "type": "none", "source": "/tmp", "options": ["rbind", "ro"]},
        {"destination": "/sys/kernel", "type": "tmpfs", "source": "tmpfs"},
        {"destination": "/link/sys", "type": "tmpfs", "source": "tmpfs"},
        {"destination": "/link", "type": "bind", "source": "/tmp", "options": ["rbind"]},
        {"destination": "//proc/./sys/../sys", "type": "tmpfs", "source": "tmpfs"},
        {"destination": "/proc/sys", "type": "sysfs", "source": "sysfs"},
        {"destination": "/sys", "type": "proc", "source": "proc"},
        {"destination": "/proc/acpi", "type": "cgroup", "source": "cgroup"},
        {"destination": "/sys", "type": "cgroup", "source": "cgroup"},
    ],
)
def test_a_bundle_cannot_mount_over_proc_or_sys(box: Box, mount: dict[str, Any]) -> None:
    (box.rootfs / "link").symlink_to("../../proc")
    box.config["mounts"].append(mount)
    assert HIDES in box.fails("true")["message"]


def test_a_bundle_without_proc_does_not_mount_over_its_directory(box: Box, tmp_path: Path) -> None:
    box.config["mounts"] = [mount for mount in box.config["mounts"] if mount["destination"] != "/proc"]
    box.config["mounts"].append({"destination": "/proc", "type": "bind", "source": "/tmp", "options": ["bind"]})
    assert HIDES in box.fails("true")["message"]


def test_a_mount_above_proc_that_covers_it_is_refused(box: Box, tmp_path: Path) -> None:
    """A bind on `/` after /proc is mounted would leave the image's own directory there."""
    (tmp_path / "other/proc/self").mkdir(parents=True)
    (tmp_path / "other/bin").mkdir()
    mount = {"destination": "/", "type": "bind", "source": str(tmp_path / "other"), "options": ["bind"]}
    box.config["mounts"].append(mount)
    assert box.run("true").returncode == 125


def test_mounts_over_proc_and_sys_allowed_by_runc_are_allowed(pyctr: Pyctr, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine\n")
    for name in ("cpuinfo", "diskstats", "loadavg", "meminfo", "stat", "swaps", "uptime"):
        done = pyctr("run", "--rm", "-v", f"{tmp_path}/file:/proc/{name}", "busybox", "cat", f"/proc/{name}")
        assert done.stdout == "mine\n", (name, done)
    for path in ("/proc", "/sys", "/sys/fs/cgroup", "/sys/kernel", "/sys/class"):
        assert pyctr("run", "--rm", "-v", f"{path}:{path}:ro", "busybox", "true").returncode == 0, path


def test_a_swapped_link_does_not_redirect_a_mount_into_proc(pyctr: Pyctr) -> None:
    """One container swaps a directory of a shared volume for a link to /proc, another mounts below it."""
    swap = "cd /shared; mkdir d d/sys; while :; do ln -s ../proc l; mv d x; mv l d; rm d; mv x d; done"
    pyctr("run", "-d", "--name", "swapper", "-v", "shared:/shared", "busybox", "sh", "-c", swap, check=True)
    count = "grep -c ' /proc' /proc/self/mountinfo"
    plain = pyctr("run", "--rm", "busybox", "sh", "-c", count, check=True).stdout
    for _ in range(25):
        flags = ("-v", "shared:/shared", "--tmpfs", "/shared/d/sys")
        done = pyctr("run", "--rm", *flags, "busybox", "sh", "-c", count)
        assert done.stdout in ("", plain), done
    pyctr("rm", "-f", "swapper", check=True)


def test_the_hosts_proc_is_intact_afterwards() -> None:
    done = subprocess.run(["stat", "-f", "-c", "%T", "/proc", "/sys"], capture_output=True, text=True, check=True)
    assert done.stdout == "proc\nsysfs\n"
