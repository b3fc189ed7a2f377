"""Containers survive a killed command or monitor, and the next command copes with the leftovers."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from pyctr_lite.cgroups import hierarchy
from pyctr_lite.engine.state import lock
from tests.conftest import Pyctr
from tests.leaks import cgroup_name


def state(pyctr: Pyctr, name: str) -> dict[str, object]:
    """Read state.json, which has more than `inspect` shows."""
    id = pyctr("inspect", "--format", "{{.Id}}", name, check=True).stdout.strip()
    found: dict[str, object] = json.loads((pyctr.root / "containers" / id / "state.json").read_text())
    return found


def end_of(pid: int) -> None:
    """Wait until a process has ended."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    select.select([pidfd], [], [], 60)
    os.close(pidfd)


def groups(root: Path) -> list[str]:
    """Return the containers' cgroups of a state directory, without `helpers`, which is removed a moment later."""
    found = subprocess.run(
        ["find", "/sys/fs/cgroup", "-path", f"*/{cgroup_name(root)}/*", "-type", "d", "-not", "-name", "helpers"],
        capture_output=True,
        text=True,
    )
    return found.stdout.splitlines()


def test_a_killed_cli_leaves_its_container_running_and_its_log_growing(pyctr: Pyctr) -> None:
    command = pyctr.command(
        "run", "--name", "box", "busybox", "sh", "-c", "echo one; read x <>/gate 2>/dev/null || sleep 1; echo two"
    )
    with subprocess.Popen(command, stdout=subprocess.PIPE) as cli:
        assert cli.stdout is not None
        assert cli.stdout.readline() == b"one\n"
        cli.send_signal(signal.SIGKILL)
    assert pyctr("wait", "box").stdout == "0\n"
    assert pyctr("logs", "box").stdout == "one\ntwo\n"


def test_a_container_survives_its_killed_monitor(pyctr: Pyctr) -> None:
    pyctr("run", "-d", "--name", "box", "busybox", "sleep", "60", check=True)
    monitor = int(str(state(pyctr, "box")["MonitorPid"]))
    os.kill(monitor, signal.SIGKILL)
    end_of(monitor)
    assert "Up" in pyctr("ps").stdout
    assert pyctr("exec", "box", "echo", "alive").stdout == "alive\n"
    pyctr("stop", "-t", "0", "box", check=True)
    shown = json.loads(pyctr("inspect", "--format", "{{json .State}}", "box").stdout)
    assert (shown["Status"], shown["ExitCode"]) == ("exited", 255)
    assert "monitor was killed" in shown["Error"]
    assert groups(pyctr.root) == []
    assert pyctr("start", "box").returncode == 0


def test_a_container_killed_from_the_host_exits_with_137(pyctr: Pyctr) -> None:
    pyctr("run", "-d", "--name", "box", "busybox", "sleep", "60", check=True)
    os.kill(int(str(state(pyctr, "box")["Pid"])), signal.SIGKILL)
    assert pyctr("wait", "box").stdout == "137\n"
    assert state(pyctr, "box")["Error"] == ""


def test_the_next_command_records_that_container_and_monitor_were_killed(pyctr: Pyctr) -> None:
    pyctr("run", "-d", "--name", "box", "busybox", "sleep", "60", check=True)
    now = state(pyctr, "box")
    for key in ("MonitorPid", "Pid"):
        os.kill(int(str(now[key])), signal.SIGKILL)
        end_of(int(str(now[key])))
    assert "Exited (255)" in pyctr("ps", "-a").stdout
    assert groups(pyctr.root) == []
    assert list((pyctr.root / "run/containers").iterdir()) == []


def test_after_a_reboot_containers_have_exited_and_start_again(pyctr: Pyctr) -> None:
    """The state after a reboot: no process, no run directory, no cgroup."""
    pyctr("run", "-d", "--name", "box", "busybox", "sh", "-c", "echo up; sleep 60", check=True)
    now = state(pyctr, "box")
    for key in ("MonitorPid", "Pid"):
        os.kill(int(str(now[key])), signal.SIGKILL)
        end_of(int(str(now[key])))
    for directory in sorted(groups(pyctr.root), reverse=True):
        os.rmdir(directory)
    shutil.rmtree(pyctr.root / "run")
    assert "Exited" in pyctr("ps", "-a").stdout
    assert pyctr("logs", "box").stdout == "up\n"
    assert pyctr("start", "box").returncode == 0
    assert "Up" in pyctr("ps").stdout


@pytest.mark.parametrize("victim", ["cli", "monitor"])
def test_rm_and_doctor_remove_the_leftovers_of_a_kill_at_any_moment_of_a_start(
    pyctr: Pyctr, victim: str, slowness: float
) -> None:
    pyctr("run", "--rm", "busybox", "true", check=True)  # so that all directories exist
    for step in range(16):
        command = pyctr.command("run", "--name", f"box{step}", "busybox", "true")
        cli = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep((0.012 + step * 0.003) * slowness)  # kill at different moments of the start
        targets = [cli.pid] if victim == "cli" else children_of(cli.pid)
        for pid in targets:
            os.kill(pid, signal.SIGKILL)
        cli.wait()
    left = pyctr("ps", "-aq").stdout.split()
    if left:
        pyctr("rm", "-f", *left, check=True)
    for directory in (pyctr.root / "containers").iterdir():  # make half-made ones old enough for doctor
        os.utime(directory, (0, 0))
    for name in (pyctr.root / "names").iterdir():
        os.utime(name, (0, 0), follow_symlinks=False)
    pyctr("doctor", "--fix")
    assert list((pyctr.root / "containers").iterdir()) == []
    assert groups(pyctr.root) == []
    assert pyctr("run", "--rm", "--name", "box3", "busybox", "echo", "again").stdout == "again\n"


def test_a_group_left_in_one_hierarchy_by_a_killed_monitor_is_removed(pyctr: Pyctr) -> None:
    id = pyctr("create", "--name", "box", "busybox", "true", check=True).stdout.strip()
    os.makedirs(pyctr.root / "run/containers" / id)
    os.makedirs(f"{hierarchy.detect().mounts[0].mountpoint}/{cgroup_name(pyctr.root)}/{id}")
    assert len(groups(pyctr.root)) == 1
    pyctr("rm", "box", check=True)
    assert groups(pyctr.root) == []
    assert list((pyctr.root / "containers").iterdir()) == []


def children_of(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in text.split()]


def test_the_end_of_a_quick_program_is_never_missed(pyctr: Pyctr) -> None:
    """The exit status must reach a client whose last packet was never read (ECONNRESET precedes the data)."""
    for _ in range(60):
        done = pyctr("run", "--rm", "busybox", "true")
        assert (done.returncode, done.stderr) == (0, "")


def test_one_of_several_simultaneous_runs_gets_the_name(pyctr: Pyctr) -> None:
    starts = [
        subprocess.Popen(
            pyctr.command("run", "-d", "--name", "one", "busybox", "sleep", "60"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for _ in range(6)
    ]
    errors = [start.communicate()[1] for start in starts]
    assert sorted(start.returncode for start in starts) == [0, 125, 125, 125, 125, 125]
    assert sum(b"already in use" in error for error in errors) == 5
    assert len(pyctr("ps", "-aq").stdout.split()) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("start", "start"),
        ("stop", "rm"),
        ("rm", "rm"),
        ("kill", "stop"),
        ("pause", "rm"),
        ("commit", "rm"),
        ("exec", "stop"),
        ("exec", "rm"),
        ("restart", "rm"),
    ],
)
def test_two_commands_on_one_container_at_the_same_moment(pyctr: Pyctr, one: str, other: str) -> None:
    words = {"stop": ["stop", "-t", "0"], "rm": ["rm", "-f"], "restart": ["restart", "-t", "0"]}
    for _ in range(4):
        pyctr("run", "-d", "--name", "box", "busybox", "sleep", "60", check=True)
        if one == "start":
            pyctr("kill", "box", check=True)
        both = [
            subprocess.Popen(
                pyctr.command(*words.get(verb, [verb]), "box", *(["true"] if verb == "exec" else [])),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            for verb in (one, other)
        ]
        for process in both:
            error = process.communicate(timeout=30)[1]
            assert process.returncode in (0, 1, 126, 137), error
            assert len(error.splitlines()) <= 2, error
            assert "Traceback" not in error
            assert "internal error" not in error
        pyctr("rm", "-f", "box")
        assert pyctr("ps", "-aq").stdout == ""
    assert groups(pyctr.root) == []


def test_many_containers_start_in_parallel(pyctr: Pyctr) -> None:
    starts = [
        subprocess.Popen(
            pyctr.command("run", "--rm", "busybox", "echo", str(number)), stdout=subprocess.PIPE, text=True
        )
        for number in range(50)
    ]
    assert [start.communicate(timeout=60)[0] for start in starts] == [f"{number}\n" for number in range(50)]


@pytest.mark.timeout(300)
def test_two_hundred_idle_containers_run(pyctr: Pyctr) -> None:
    command = " ".join(f"'{word}'" for word in pyctr.command("run", "-d", "busybox", "sleep", "1000"))
    subprocess.run(["sh", "-c", f"seq 200 | xargs -P 4 -I{{}} {command} >/dev/null"], check=True)
    ids = pyctr("ps", "-q", "--no-trunc").stdout.split()
    assert len(set(ids)) == 200
    assert pyctr("exec", ids[100], "echo", "alive").stdout == "alive\n"
    assert len(pyctr("ps", "-q").stdout.split()) == 200
    pyctr("rm", "-f", *ids, check=True, timeout=200)
    assert pyctr("ps", "-aq").stdout == ""


def test_ps_is_quick_with_a_thousand_stopped_containers(pyctr: Pyctr) -> None:
    """It takes less than a millisecond per container, and the time is not quadratic."""
    id = pyctr("create", "--name", "box", "busybox", "true", check=True).stdout.strip()
    for number in range(999):
        other = f"{number:064x}"
        directory = pyctr.root / "containers" / other
        directory.mkdir()
        for name in ("container.json", "state.json", "lock"):
            text = (pyctr.root / "containers" / id / name).read_text()
            (directory / name).write_text(text.replace(id, other).replace('"box"', f'"box{number}"'))
        (pyctr.root / "names" / f"box{number}").symlink_to(other)
    began = time.monotonic()
    assert len(pyctr("ps", "-aq").stdout.split()) == 1000
    took = time.monotonic() - began
    assert len(pyctr("ps", "-q").stdout.split()) == 0
    assert took < 3, "0.3 s on a quiet machine"


def test_a_large_output_arrives_whole_and_is_not_buffered_by_the_monitor(pyctr: Pyctr) -> None:
    megabytes = 20
    command = pyctr.command(
        "run", "--name", "box", "busybox", "sh", "-c", f"yes {'0123456789' * 9} | head -c {megabytes << 20}"
    )
    with subprocess.Popen(command, stdout=subprocess.PIPE) as cli:
        assert cli.stdout is not None
        cli.stdout.read(1)
        monitor = int(str(state(pyctr, "box")["MonitorPid"]))
        rest = cli.stdout.read(1 << 20)  # a slow reader: the rest waits in the container
        memory = Path(f"/proc/{monitor}/status").read_text().partition("VmRSS:")[2].split()[0]
        assert int(memory) < 40_000
        size = 1 + len(rest) + sum(len(chunk) for chunk in iter(lambda: cli.stdout.read(1 << 20), b""))
    assert size == megabytes << 20


def test_ps_removes_the_leftovers_of_a_killed_run_or_rm_and_spares_a_container_being_made(pyctr: Pyctr) -> None:
    pyctr("create", "--name", "box", "busybox", "true", check=True)
    containers, names = pyctr.root / "containers", pyctr.root / "names"
    old = {"removing": containers / ("1" * 64 + ".removing"), "half": containers / ("2" * 64)}
    young = {"removing": containers / ("3" * 64 + ".removing"), "half": containers / ("4" * 64)}
    held = containers / ("5" * 64)
    for directory in (*old.values(), *young.values(), held):
        (directory / "upper/etc").mkdir(parents=True)
        (directory / "upper/etc/file").touch()
    (names / "gone").symlink_to("2" * 64)
    with lock.Lock(str(held / "lock")):
        for directory in (*old.values(), held):
            os.utime(directory, (0, 0))
        os.utime(names / "gone", (0, 0), follow_symlinks=False)
        assert pyctr("ps", "-a", "--format", "{{.Names}}", check=True).stdout == "box\n"
        assert not any(directory.exists() for directory in old.values())
        assert all(directory.exists() for directory in (*young.values(), held))
    assert sorted(os.listdir(names)) == ["box"]
