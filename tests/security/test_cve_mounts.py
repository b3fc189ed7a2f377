"""Published vulnerabilities in the mounts and files made in a container's root before its program runs."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pyctr_lite.linux import mountinfo
from tests.conftest import SLOWNESS, Pyctr
from tests.images.archives import directory, entry, symlink
from tests.runtime.bundles import Box
from tests.security.hostile import UP, load

PATHS = ("dev", "dev/pts", "dev/shm", "dev/mqueue", "sys/fs/cgroup", "etc", "proc", "sys", "run", "tmp")


def tree(path: Path) -> list[tuple[str, int, int, int, int]]:
    found = []
    for each in sorted([path, *path.rglob("*")]):
        status = each.lstat()
        found.append((str(each), status.st_mode, status.st_uid, status.st_size, status.st_mtime_ns))
    return found


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Return a directory of the host with the files that a link in an image aims at."""
    path = tmp_path / "outside"
    path.mkdir()
    for name in ("hosts", "hostname", "resolv.conf", "mtab", "null", "console", "zero"):
        (path / name).write_text("of the host")
    for name in ("pts", "shm", "mqueue", "fs"):
        (path / name).mkdir()
    return path


@pytest.mark.parametrize("path", PATHS)
def test_a_link_at_a_path_of_the_engines_files_is_not_followed(
    pyctr: Pyctr, tmp_path: Path, outside: Path, path: str
) -> None:
    """CVE-2019-18837, CVE-2026-41579 and -47766 (/dev), CVE-2024-9341: the link was followed on the host."""
    before = tree(outside)
    parent = [directory(path.rpartition("/")[0])] if "/" in path else []
    image = load(pyctr, tmp_path, "linked", *parent, symlink(path, f"{UP}{outside}"))
    for flags in ([], ["-t"], ["--read-only"], ["--userns", "auto"], ["-v", f"data:/{path}/new"], ["--init"]):
        pyctr("run", "--rm", *flags, image, "/bin/echo", "up")
        assert tree(outside) == before, flags
    assert not any(str(outside) in mount.mountpoint for mount in mountinfo.mounts())


@pytest.mark.parametrize("name", ["hosts", "hostname", "resolv.conf", "mtab"])
def test_a_link_in_etc_is_not_followed_to_the_host(pyctr: Pyctr, tmp_path: Path, outside: Path, name: str) -> None:
    """CVE-2024-5154 of cri-o: the image's /etc/mtab, or the /etc of a running container, is a link to the host."""
    before = tree(outside)
    image = load(pyctr, tmp_path, "etc", directory("etc"), symlink(f"etc/{name}", f"{UP}{outside}/{name}"))
    for _ in range(2):
        done = pyctr("run", "--rm", image, "sh", "-c", f"cat /etc/{name}; echo attacked >/etc/{name}")
        assert "of the host" not in done.stdout
    assert tree(outside) == before


@pytest.mark.parametrize("path", ["dev", "dev/null", "dev/zero", "dev/pts", "dev/shm", "dev/fd"])
def test_devices_of_a_bundle_are_made_inside(box: Box, tmp_path: Path, outside: Path, path: str) -> None:
    """CVE-2026-41579 and CVE-2026-47766: without a mount on /dev, devices were made through a link."""
    before = tree(outside)
    box.config["mounts"] = [mount for mount in box.config["mounts"] if not mount["destination"].startswith("/dev")]
    (box.rootfs / path).parent.mkdir(parents=True, exist_ok=True)
    (box.rootfs / path).symlink_to(f"{UP}{outside}/{Path(path).name if '/' in path else ''}")
    box.run("true")
    assert tree(outside) == before


def test_a_mountpoint_replaced_by_a_link_is_not_followed_at_the_next_start(
    pyctr: Pyctr, tmp_path: Path, outside: Path
) -> None:
    """CVE-2015-3629: the container replaces its mountpoints by links before it is started again."""
    before = tree(outside)
    (tmp_path / "file").write_text("mounted")
    swap = f"mv /a /b; ln -s {UP}{outside} /a; mv /dev/shm /x; rm -rf /etc; ln -s {UP}{outside} /etc"
    mounts = ["-v", "data:/a/pts", "-v", f"{tmp_path}/file:/a/hosts", "--tmpfs", "/a/new"]
    pyctr("run", "--name", "box", *mounts, "busybox", "sh", "-c", f"{swap}; echo x >/a/pts/attack")
    for _ in range(2):
        pyctr("start", "-a", "box")
        assert tree(outside) == before
    assert not any(str(outside) in mount.mountpoint for mount in mountinfo.mounts())


HIDDEN = [
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap",
    "/sys/firmware",
]  # fmt: skip
CLOSED = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]


@pytest.mark.parametrize("flags", [[], ["--cap-add", "ALL"], ["--userns", "auto"], ["--net", "host"]])
def test_kernel_files_about_the_host_are_hidden(pyctr: Pyctr, flags: list[str]) -> None:
    """CVE-2015-3630, CVE-2017-16539 (scsi), CVE-2018-10892 (acpi), GHSA-7ww5-4wqc-m92c (powercap)."""
    script = (
        f"for p in {' '.join(HIDDEN)}; do [ -d $p ] && ls -A $p; [ -f $p ] && head -c 1 $p; done;"
        f"for p in {' '.join(CLOSED)}; do f=$(find $p -maxdepth 3 -type f 2>/dev/null | head -n 1); "
        '[ -z "$f" ] || (: >>"$f") 2>/dev/null && [ -n "$f" ] && echo "open: $f"; done; true'
    )
    pyctr("run", "-d", "--name", "box", *flags, "busybox", "sleep", "60", check=True)
    assert pyctr("exec", "box", "sh", "-c", script, check=True).stdout == ""
    assert pyctr("exec", "-u", "1000", "box", "sh", "-c", script, check=True).stdout == ""
    pyctr("restart", "-t", "0", "box", check=True)
    assert pyctr("exec", "--privileged", "box", "sh", "-c", script, check=True).stdout == ""


@pytest.mark.parametrize(
    "flags", [[], ["--cgroupns", "host"], ["--userns", "auto"], ["--cap-add", "DAC_OVERRIDE"]]
)
def test_cgroups_cannot_be_written(pyctr: Pyctr, flags: list[str]) -> None:
    """CVE-2023-25809: /sys/fs/cgroup of the host was writable without a cgroup namespace."""
    script = (
        "for d in $(find /sys/fs/cgroup -maxdepth 3 -type d); do mkdir $d/made 2>/dev/null && echo $d;"
        "(echo $$ >$d/cgroup.procs) 2>/dev/null && echo $d; done; true"
    )
    assert pyctr("run", "--rm", *flags, "busybox", "sh", "-c", script, check=True).stdout == ""


@pytest.mark.parametrize("flags", [[], ["--userns", "auto"]])
def test_limits_apply_with_any_set_of_namespaces(pyctr: Pyctr, flags: list[str]) -> None:
    """CVE-2025-47291: with a user namespace the processes were in no cgroup of their own."""
    pyctr("run", "-d", "--name", "box", "--pids-limit", "20", *flags, "busybox", "sleep", "60", check=True)
    pid, id = pyctr("inspect", "-f", "{{.State.Pid}} {{.Id}}", "box", check=True).stdout.split()
    assert id in Path(f"/proc/{pid}/cgroup").read_text()
    bomb = "for i in $(seq 1 60); do sleep 5 & done; wait"
    assert "fork" in pyctr("exec", "box", "sh", "-c", bomb).stderr


def test_shared_memory_has_the_limit_of_its_owner(pyctr: Pyctr) -> None:
    """CVE-2024-3056: a container in the owner's IPC namespace could fill its shared memory without limit."""
    pyctr("run", "-d", "--name", "box", "--shm-size", "4m", "busybox", "sleep", "60", check=True)
    fill = "dd if=/dev/zero of=/dev/shm/x bs=1M count=100; df -k /dev/shm | tail -n 1"
    done = pyctr("run", "--rm", "--ipc", "container:box", "busybox", "sh", "-c", fill)
    assert "No space left on device" in done.stderr


def test_top_and_stats_run_no_program_of_the_image(
    pyctr: Pyctr, tmp_path: Path, needs: Callable[[str], str]
) -> None:
    """CVE-2022-1227: `top` ran the image's own nsenter."""
    script = b"#!/bin/sh\necho attacked >/attacked\n"
    names = ("nsenter", "ps", "top", "sh", "env", "python3")
    files = [entry(f"evil/{name}", script, mode=0o755) for name in names]
    image = load(pyctr, tmp_path, "evil", directory("evil"), *files, Env=["PATH=/evil:/bin"])
    pyctr("run", "-d", "--name", "box", "--userns", "auto", image, "/bin/sleep", "60", check=True)
    trace = tmp_path / "trace"
    for args in (["top", "box"], ["stats", "--no-stream", "box"], ["diff", "box"], ["inspect", "-s", "box"]):
        command = [needs("strace"), "-f", "-e", "trace=execve,execveat,setns", "-o", str(trace)]
        subprocess.run([*command, *pyctr.command(*args)], check=True, capture_output=True)
        lines = [line for line in trace.read_text().splitlines() if "= 0" in line and "exited" not in line]
        assert [line for line in lines if "setns" in line or ("python" not in line and "pyctr" not in line)] == []
    assert pyctr("exec", "box", "/bin/ls", "/attacked").returncode == 1


@pytest.mark.parametrize(
    "value", ["0-4294967295", "0-999999999", "4294967296", "0-3,7-99999999999999999999", "0-0x10"]
)
@pytest.mark.parametrize("flag", ["--cpuset-cpus", "--cpuset-mems"])
def test_a_set_of_processors_is_not_expanded(pyctr: Pyctr, flag: str, value: str) -> None:
    """CVE-2018-20699: a range up to a large number exhausted memory."""
    began = time.monotonic()
    limited = ["prlimit", f"--data={128 << 20}", *pyctr.command("run", "--rm", flag, value, "busybox", "true")]
    done = subprocess.run(limited, capture_output=True, text=True)
    assert done.returncode == 125
    assert len(done.stderr.splitlines()) <= 2, done.stderr
    assert time.monotonic() - began < 10
    assert pyctr("ps", "-aq").stdout == ""


def test_output_of_a_check_or_a_program_is_not_kept_in_memory(pyctr: Pyctr) -> None:
    """CVE-2022-31030 and CVE-2022-1708 of cri-o: unread output exhausted memory."""
    flood = "dd if=/dev/zero bs=1M count=256 2>/dev/null"
    check = ["--health-cmd", flood, "--health-interval", "1s", "--health-timeout", "20s"]
    pyctr(
        "run", "-dt", "--name", "box", *check, "busybox", "sh", "-c", f"{flood} | tr '\\0' x; sleep 60", check=True
    )
    pyctr("exec", "-d", "box", "sh", "-c", flood, check=True)
    deadline = time.monotonic() + 60
    while len(pyctr("inspect", "-f", "{{json .State.Health.Log}}", "box").stdout) < 20:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    peaks = []
    for process in helpers(pyctr):
        (line,) = [line for line in (process / "status").read_text().splitlines() if "VmHWM" in line]
        peaks.append(int(line.split()[1]))
    assert max(peaks) < 100 << 10, "KiB"
    assert len(pyctr("inspect", "-f", "{{json .State.Health.Log}}", "box").stdout) < 64 << 10


def test_a_disconnected_client_leaves_nothing_in_the_monitor(pyctr: Pyctr) -> None:
    """CVE-2022-23471 and CVE-2025-64329: every terminal and every interrupted attach stayed in memory."""
    pyctr(
        "run", "-dit", "--name", "box", "busybox", "sh", "-c", "echo ready; while :; do sleep 1; done", check=True
    )
    counts = []
    for round in range(12):
        with subprocess.Popen(
            pyctr.command("attach", "box"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as client:
            if round % 2:
                time.sleep(0.3)
            client.kill()
        time.sleep(0.2)
        counts.append(sum(len(os.listdir(process / "fd")) for process in helpers(pyctr)))
    assert counts[-1] <= counts[0] + 1, counts


def helpers(pyctr: Pyctr) -> list[Path]:
    """Return the /proc directories of the helper processes beside a state directory's containers."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.fsencode(pyctr.root) in (process / "cmdline").read_bytes():
                found.append(process)
        except OSError:
            continue
    assert found, "the monitor runs"
    return found


def test_a_check_that_leaves_a_process_behind_ends(pyctr: Pyctr) -> None:
    """CVE-2026-53495: a check leaves a process that keeps its output open, and the engine waits for ever."""
    check = ["--health-cmd", "sleep 1000 & true", "--health-interval", "1s", "--health-timeout", "30s"]
    pyctr("run", "-d", "--name", "box", *check, "busybox", "sleep", "600", check=True)
    began = time.monotonic()
    while pyctr("inspect", "-f", "{{len .State.Health.Log}}", "box").stdout.strip() != "3":
        assert time.monotonic() - began < 20 * SLOWNESS
        time.sleep(0.2)
    assert pyctr("inspect", "-f", "{{.State.Health.Status}}", "box").stdout.strip() == "healthy"
    pyctr("rm", "-f", "box", check=True)


def test_cp_binds_volumes_only_inside_a_stopped_container(pyctr: Pyctr, tmp_path: Path, outside: Path) -> None:
    """CVE-2026-42306: `cp` mounts the volumes of a stopped container while another container swaps in a link."""
    before = tree(outside)
    swap = f"cd /shared; mkdir d; ln -s {UP}{outside} l; while :; do mv d x; mv l d; mv d l; mv x d; done"
    pyctr("run", "-d", "--name", "swapper", "-v", "shared:/shared", "busybox", "sh", "-c", swap, check=True)
    mounts = ["-v", "shared:/shared", "-v", "other:/shared/d", "-v", "third:/shared/d/pts"]
    pyctr("create", "--name", "box", *mounts, "busybox", "true", check=True)
    (tmp_path / "file").write_text("x")
    for number in range(15):
        pyctr("cp", tmp_path / "file", "box:/shared/d/file")
        # The copy may be a link: the next copy must not go through it.
        pyctr("cp", "box:/shared/d", tmp_path / f"got-{number}")
        pyctr("export", "-o", tmp_path / "out.tar", "box")
        assert not any(str(outside) in mount.mountpoint for mount in mountinfo.mounts())
    pyctr("rm", "-f", "swapper", check=True)
    assert tree(outside) == before
