"""Helper processes leave their caller's cgroup, session, directory, descriptors and scheduling class."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyctr_lite.engine.engine import Engine
from tests.conftest import REPOSITORY, Pyctr
from tests.leaks import cgroup_name, end_groups, hierarchies

SESSION = f"pyctr_session_{os.getpid()}"


@pytest.fixture
def session() -> Iterator[list[Path]]:
    """Create a cgroup in every hierarchy, as a login session or a service has."""
    groups = [hierarchy / SESSION for hierarchy in hierarchies()]
    for group in groups:
        group.mkdir()
        for file in ("cpuset.cpus", "cpuset.mems"):
            if (group / file).exists():
                (group / file).write_text((group.parent / file).read_text())
    yield groups
    end_groups(SESSION, only_empty=False)


def in_session(groups: list[Path], *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the session's groups."""

    def enter() -> None:
        for group in groups:
            (group / "cgroup.procs").write_text("0")

    return subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, preexec_fn=enter, timeout=60
    )


def members(group: Path) -> list[int]:
    return [int(pid) for pid in (group / "cgroup.procs").read_text().split()]


def monitor_of(root: Path, name: str) -> int:
    return int(Engine(str(root)).containers.get(name).state.MonitorPid)


def our_groups(root: Path) -> list[Path]:
    return [
        hierarchy / cgroup_name(root) for hierarchy in hierarchies() if (hierarchy / cgroup_name(root)).exists()
    ]


@pytest.mark.parametrize("verb", ["run", "start", "restart"])
def test_containers_survive_the_end_of_their_session(
    pyctr: Pyctr, root: Path, session: list[Path], verb: str
) -> None:
    script = "while [ ! -e /stop ]; do sleep 0.05; done; echo last words; exit 3"
    words = ["--name", "box", "-d", "busybox", "sh", "-c", script]
    if verb != "run":
        pyctr("create", *[word for word in words if word != "-d"], check=True)
        words = ["box"]
    if verb == "restart":
        pyctr("start", "box", check=True)
        words = ["-t0", "box"]
    assert in_session(session, *pyctr.command(verb, *words)).returncode == 0
    assert [members(group) for group in session] == [[] for _ in session]
    pyctr("exec", "box", "touch", "/stop", check=True)
    assert pyctr("wait", "box").stdout == "3\n"
    assert pyctr("logs", "box").stdout == "last words\n"
    pyctr("rm", "box", check=True)
    assert our_groups(root) == []


def test_freezing_a_session_freezes_no_monitor_and_no_container(
    pyctr: Pyctr, root: Path, session: list[Path]
) -> None:
    assert (
        in_session(session, *pyctr.command("run", "-d", "--name", "box", "busybox", "sleep", "60")).returncode == 0
    )
    assert in_session(session, *pyctr.command("exec", "-d", "box", "sleep", "50")).returncode == 0
    for group in session:
        if (group / "freezer.state").exists():
            (group / "freezer.state").write_text("FROZEN")
    assert pyctr("stop", "-t", "0", "box", timeout=20).returncode == 0
    for _ in range(200):  # exec's pump process removes the groups a moment later
        if not our_groups(root):
            break
        time.sleep(0.05)
    assert our_groups(root) == []


def test_no_helper_is_in_the_containers_group(pyctr: Pyctr, root: Path, session: list[Path]) -> None:
    in_session(session, *pyctr.command("run", "-d", "--name", "box", "busybox", "sleep", "60"))
    in_session(session, *pyctr.command("exec", "-d", "box", "sleep", "50"))
    for top in our_groups(root):
        helpers = members(top / "helpers")
        assert monitor_of(root, "box") in helpers
        assert len(helpers) == 2
    pyctr("pause", "box", check=True)
    assert Path(f"/proc/{monitor_of(root, 'box')}/stat").read_text().rpartition(") ")[2][0] == "S"
    pyctr("unpause", "box", check=True)
    pyctr("rm", "-f", "box", check=True)


def test_the_last_container_removes_the_groups_of_its_state_directory(
    pyctr: Pyctr, root: Path, session: list[Path]
) -> None:
    pyctr("run", "--rm", "busybox", "true", check=True)
    assert in_session(session, *pyctr.command("run", "--rm", "busybox", "true")).returncode == 0
    in_session(session, *pyctr.command("run", "-d", "--name", "one", "busybox", "sleep", "60"))
    pyctr("run", "-d", "--name", "two", "busybox", "sleep", "60", check=True)
    pyctr("rm", "-f", "one", check=True)
    assert our_groups(root) != []
    pyctr("rm", "-f", "two", check=True)
    deadline = time.monotonic() + 10
    while our_groups(root) and time.monotonic() < deadline:
        time.sleep(0.01)  # the monitor removes the groups after reporting the exit
    assert our_groups(root) == []


@pytest.mark.timeout(200)
def test_removing_the_groups_does_not_disturb_a_start(pyctr: Pyctr, root: Path, session: list[Path]) -> None:
    """The last container ends while another command starts the next one, again and again."""
    failures = []

    def loop(groups: list[Path]) -> None:
        for _ in range(12):
            done = in_session(groups, *pyctr.command("run", "--rm", "busybox", "true"))
            if (done.returncode, done.stderr) != (0, ""):
                failures.append(done.stderr)

    threads = [threading.Thread(target=loop, args=(groups,)) for groups in (session, session, [])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_the_next_command_removes_the_groups_left_by_a_killed_monitor(
    pyctr: Pyctr, root: Path, session: list[Path]
) -> None:
    in_session(session, *pyctr.command("run", "-d", "--name", "box", "busybox", "sleep", "60"))
    container = Engine(str(root)).containers.get("box")
    for pid in (container.state.MonitorPid, container.state.Pid):
        fd = os.pidfd_open(pid)
        signal.pidfd_send_signal(fd, signal.SIGKILL)
        os.close(fd)
    for _ in range(100):
        if pyctr("ps", "-q").stdout == "":
            break
    pyctr("ps", "-a", check=True)
    assert our_groups(root) == []


@pytest.mark.parametrize("verb", ["run", "exec"])
def test_a_helper_keeps_neither_directory_nor_descriptors_of_its_caller(
    pyctr: Pyctr, tmp_path: Path, root: Path, verb: str
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", disk], check=True)
    try:
        words = ["run", "-d", "--name", "box", "busybox", "sleep", "60"]
        if verb == "exec":
            pyctr(*words, check=True)
            words = ["exec", "-d", "box", "sleep", "50"]
        with (disk / "held").open("w") as held:
            subprocess.run(
                pyctr.command(*words),
                cwd=disk,
                check=True,
                stdin=held,
                stderr=held,
                stdout=held,
                pass_fds=[held.fileno()],
            )
    finally:
        subprocess.run(["umount", disk], check=True)  # "target is busy" if a process still uses it
    pyctr("rm", "-f", "box", check=True)


def test_a_helper_does_not_inherit_its_callers_scheduling_personality_or_session(pyctr: Pyctr, root: Path) -> None:
    def caller() -> None:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(5))
        Path("/proc/self/oom_score_adj").write_text("500")

    command = ["setarch", "-R", *pyctr.command("run", "-d", "--name", "box", "busybox", "sleep", "60")]
    subprocess.run(command, check=True, preexec_fn=caller, stdout=subprocess.DEVNULL)
    pyctr("exec", "-d", "box", "sleep", "50", check=True)
    container = Engine(str(root)).containers.get("box")
    for pid in (container.state.MonitorPid, container.state.Pid):
        assert os.sched_getscheduler(pid) == os.SCHED_OTHER
        assert int(Path(f"/proc/{pid}/personality").read_text(), 16) == 0
        assert os.getsid(pid) != os.getsid(0)
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
    assert Path(f"/proc/{container.state.MonitorPid}/oom_score_adj").read_text() == "0\n"
    pyctr("rm", "-f", "box", check=True)


def test_a_container_inherits_its_callers_nice_value_and_cpus(pyctr: Pyctr) -> None:
    def caller() -> None:
        os.nice(7)
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    script = "cut -d' ' -f19 /proc/self/stat; grep Cpus_allowed_list /proc/self/status | cut -f2"
    done = subprocess.run(
        pyctr.command("run", "--rm", "busybox", "sh", "-c", script),
        preexec_fn=caller,
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"7\n{min(os.sched_getaffinity(0))}\n"


@pytest.mark.parametrize("verb", ["run", "exec"])
def test_the_callers_session_keyring_is_not_shared_with_the_container(
    pyctr: Pyctr, tmp_path: Path, verb: str
) -> None:
    ask = "import ctypes; print(ctypes.CDLL(None).syscall({'x86_64': 250, 'aarch64': 219}[%r], 0, -3, 0))"
    program = ask % os.uname().machine  # KEYCTL_GET_KEYRING_ID of KEY_SPEC_SESSION_KEYRING
    ours = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout
    options = ["--privileged", "--security-opt", "seccomp=unconfined", "-v", "/:/host"]
    if verb == "exec":
        pyctr("run", "-d", "--name", "box", *options, "busybox", "sleep", "60", check=True)
    words = ["exec", "box"] if verb == "exec" else ["run", "--rm", *options, "busybox"]
    inside = pyctr(*words, "chroot", "/host", "/usr/bin/python3", "-c", program, check=True).stdout
    assert int(inside) > 0
    assert inside != ours


def test_the_apis_helper_leaves_its_callers_cgroup_session_and_directory(
    root: Path, tmp_path: Path, session: list[Path]
) -> None:
    program = (
        "import os, sys, signal; sys.path.insert(0, sys.argv[1])\n"
        "from pyctr_lite.engine.api.client import Client\n"
        "with Client(sys.argv[2]) as client:\n"
        "    client.start('busybox', ['sleep', '60'], name='box')\n"
        "    pid = client._helper.pid\n"
        "    print(os.readlink(f'/proc/{pid}/cwd'), os.getsid(pid) == pid, os.readlink(f'/proc/{pid}/fd/1'))\n"
        "    print(open(f'/proc/{pid}/cgroup').read().count('/helpers\\n'))\n"
        "    client.remove('box', force=True)\n"
    )
    done = in_session(session, sys.executable, "-c", program, str(REPOSITORY), str(root))
    assert done.stdout == f"/ True /dev/null\n{len(session)}\n", done.stderr
    assert our_groups(root) == []
