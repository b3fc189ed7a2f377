"""`run --restart` with real containers: restarts, manual stops, and a reboot."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

from pyctr_lite.engine.engine import Engine
from pyctr_lite.engine.life import restart
from tests.conftest import Pyctr
from tests.open_files import has_open


def state(pyctr: Pyctr, name: str = "box") -> dict[str, Any]:
    shown = pyctr("inspect", "-f", '{"s":{{json .State}},"n":{{.RestartCount}}}', name, check=True).stdout
    value = json.loads(shown)
    return value["s"] | {"RestartCount": value["n"]}  # type: ignore[no-any-return]


def until(holds: Callable[[], bool]) -> None:
    """Poll until a condition holds. The test's time limit ends an endless wait."""
    while not holds():
        time.sleep(0.01)


def start(pyctr: Pyctr, policy: str, script: str, *flags: str) -> None:
    args = ["--name", "box", "--restart", policy, *flags, "busybox", "sh", "-c", script]
    pyctr("run", "-d", *args, check=True)


def actions(pyctr: Pyctr) -> list[str]:
    lines = pyctr("events", "--since", "1h", "--until", "0s", "--format", "{{.Action}}", check=True).stdout
    return lines.split()


def test_on_failure_counts_its_restarts_and_gives_up(pyctr: Pyctr) -> None:
    start(pyctr, "on-failure:2", "echo run; exit 3")
    until(lambda: state(pyctr)["Status"] == "exited")
    last = state(pyctr)
    assert (last["ExitCode"], last["RestartCount"], last["Running"]) == (3, 2, False)
    assert pyctr("logs", "box").stdout == "run\n" * 3
    assert actions(pyctr) == ["create", *["connect", "start", "die", "disconnect"] * 3]
    assert pyctr("inspect", "-f", "{{json .HostConfig.RestartPolicy}}", "box").stdout == (
        '{"Name":"on-failure","MaximumRetryCount":2}\n'
    )


@pytest.mark.parametrize("policy", ["on-failure", "no"])
def test_on_failure_does_not_restart_after_success(pyctr: Pyctr, policy: str) -> None:
    start(pyctr, policy, "echo run")
    pyctr("wait", "box", check=True)
    last = state(pyctr)
    assert (last["Status"], last["RestartCount"]) == ("exited", 0)


def test_always_restarts_after_success_and_after_a_kill(pyctr: Pyctr) -> None:
    start(pyctr, "always", "test -e /done && exec sleep 60; touch /done")
    until(lambda: [state(pyctr)[key] for key in ("RestartCount", "Status")] == [1, "running"])
    before = state(pyctr)
    os.kill(before["Pid"], signal.SIGKILL)  # killed from outside
    until(lambda: [state(pyctr)[key] for key in ("RestartCount", "Status")] == [2, "running"])
    assert state(pyctr)["Pid"] not in (0, before["Pid"])
    assert pyctr("exec", "box", "true").returncode == 0


@pytest.mark.parametrize("args", [["stop", "-t", "0"], ["kill"], ["kill", "-s", "TERM"]])
@pytest.mark.parametrize("policy", ["always", "unless-stopped"])
def test_stop_and_kill_end_the_restarts(pyctr: Pyctr, policy: str, args: list[str]) -> None:
    start(pyctr, policy, "trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done")
    until(lambda: pyctr("logs", "box").stdout == "ready\n")
    pyctr(*args, "box", check=True)
    pyctr("wait", "box", check=True)
    last = state(pyctr)
    assert (last["Status"], last["RestartCount"], last["Pid"]) == ("exited", 0, 0)
    pyctr("start", "box", check=True)
    assert state(pyctr)["Status"] == "running"


def test_another_signal_does_not_end_the_restarts(pyctr: Pyctr) -> None:
    start(pyctr, "always", "trap 'exit 9' USR1; echo ready; while :; do sleep 0.01; done")
    until(lambda: pyctr("logs", "box").stdout == "ready\n")
    pyctr("kill", "-s", "USR1", "box", check=True)
    until(lambda: state(pyctr)["RestartCount"] == 1 and state(pyctr)["Status"] == "running")


def waiting(pyctr: Pyctr) -> dict[str, Any]:
    """Return the state of a container that waits seconds for its next start."""
    start(pyctr, "always", "exit 4")
    until(lambda: state(pyctr)["RestartCount"] >= 6 and state(pyctr)["Status"] == "restarting")
    return state(pyctr)


def test_a_container_that_waits_to_be_restarted_counts_as_running(pyctr: Pyctr) -> None:
    now = waiting(pyctr)
    assert (now["Running"], now["Restarting"], now["Pid"], now["ExitCode"]) == (True, True, 0, 4)
    until(lambda: pyctr("ps", "--format", "{{.Status}}").stdout.startswith("Restarting (4) "))
    until(lambda: pyctr("ps", "-q", "--filter", "status=restarting").stdout != "")
    for args in (["exec", "box", "true"], ["top", "box"], ["pause", "box"], ["rm", "box"]):
        until(lambda: "restarting" in pyctr(*args).stderr)  # noqa: B023  # it runs for a moment now and then
    assert "0.00%" in pyctr("stats", "--no-stream", "box", check=True).stdout
    assert pyctr("start", "box").returncode == 0  # Docker counts a restarting container as running


@pytest.mark.parametrize("args", [["stop"], ["kill"], ["rm", "-f"]])
def test_a_container_that_waits_to_be_restarted_is_stopped_at_once(pyctr: Pyctr, args: list[str]) -> None:
    waiting(pyctr)
    pyctr(*args, "box", check=True)
    if args[0] == "rm":
        assert pyctr("ps", "-aq").stdout == ""
        return
    last = state(pyctr)
    assert (last["Status"], last["ExitCode"], last["Running"]) == ("exited", 4, False)
    assert pyctr("wait", "box").stdout == "4\n"


def test_wait_on_a_restarting_container_waits_for_its_next_exit(pyctr: Pyctr) -> None:
    waiting(pyctr)
    before = state(pyctr)["RestartCount"]
    assert pyctr("wait", "box").stdout == "4\n"
    assert state(pyctr)["RestartCount"] > before or state(pyctr)["Status"] == "running"


def test_wait_reports_an_exit_between_two_checks(pyctr: Pyctr) -> None:
    count = waiting(pyctr)["RestartCount"]
    process = subprocess.Popen(pyctr.command("wait", "box"), stdout=subprocess.PIPE)
    until(lambda: has_open(process.pid, "anon_inode:inotify"))
    process.send_signal(signal.SIGSTOP)
    until(lambda: state(pyctr)["RestartCount"] > count and state(pyctr)["Status"] == "restarting")
    process.send_signal(signal.SIGCONT)
    assert process.communicate(timeout=5) == (b"4\n", None)  # reported before the next start


def test_wait_for_the_next_exit_ends_at_once_after_that_exit(pyctr: Pyctr) -> None:
    """The exit happened before the watch was set, and the next one is seconds away."""
    count = waiting(pyctr)["RestartCount"]
    restart.wait(Engine(str(pyctr.root)).containers.get("box"), finished="2024-05-01T10:00:00Z")
    assert state(pyctr)["RestartCount"] == count


def test_a_manual_start_resets_the_restart_count(pyctr: Pyctr) -> None:
    start(pyctr, "on-failure:1", "exit 3")
    until(lambda: state(pyctr)["Status"] == "exited")
    assert state(pyctr)["RestartCount"] == 1
    pyctr("start", "box", check=True)
    until(lambda: state(pyctr)["Status"] == "exited")
    assert state(pyctr)["RestartCount"] == 1
    assert actions(pyctr).count("start") == 4


def test_the_client_in_the_foreground_ends_with_the_first_exit(pyctr: Pyctr) -> None:
    done = pyctr("run", "--name", "box", "--restart", "on-failure:1", "busybox", "sh", "-c", "echo once; exit 3")
    assert (done.returncode, done.stdout) == (3, "once\n")
    until(lambda: state(pyctr)["Status"] == "exited")
    assert pyctr("logs", "box").stdout == "once\nonce\n"


def test_a_follower_of_the_log_sees_the_output_of_every_restart(pyctr: Pyctr) -> None:
    start(pyctr, "on-failure:2", "echo life; exit 3")
    assert pyctr("logs", "-f", "box").stdout == "life\n" * 3


def test_a_failed_start_ends_the_restarts(pyctr: Pyctr) -> None:
    start(pyctr, "always", "rm /bin/sh")
    until(lambda: state(pyctr)["Status"] == "exited")
    last = state(pyctr)
    assert (last["ExitCode"], last["RestartCount"], last["Restarting"]) == (127, 1, False)
    assert "executable file not found" in last["Error"]


def test_a_monitor_killed_while_it_waited_is_repaired(pyctr: Pyctr) -> None:
    waiting(pyctr)
    (id,) = pyctr("ps", "-aq", "--no-trunc").stdout.split()
    record = json.loads((pyctr.root / "containers" / id / "state.json").read_text())
    os.kill(record["MonitorPid"], signal.SIGKILL)
    until(lambda: not os.path.exists(f"/proc/{record['MonitorPid']}") or _is_zombie(record["MonitorPid"]))
    last = state(pyctr)
    assert (last["Status"], last["ExitCode"]) == ("exited", 4)
    assert "monitor was killed" in last["Error"]


def _is_zombie(pid: int) -> bool:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "Z"


def test_start_restart_policies_starts_containers_after_a_boot(pyctr: Pyctr) -> None:
    for name, policy in (("kept", "always"), ("un", "unless-stopped"), ("once", "no"), ("hand", "unless-stopped")):
        args = ["--name", name, "--restart", policy, "busybox", "sleep", "60"]
        pyctr("run", "-d", *args, check=True)
    pyctr("create", "--name", "fresh", "--restart", "always", "busybox", "sleep", "60", check=True)
    pyctr("stop", "-t", "0", "hand", check=True)
    # A power failure: every process ends at once, and the run directory is lost.
    for name in ("kept", "un", "once"):
        id = pyctr("inspect", "-f", "{{.Id}}", name).stdout.strip()
        record = json.loads((pyctr.root / "containers" / id / "state.json").read_text())
        for pid in (record["MonitorPid"], record["Pid"]):
            os.kill(pid, signal.SIGKILL)
        until(lambda: _is_gone(record["Pid"]) and _is_gone(record["MonitorPid"]))  # noqa: B023
    shutil.rmtree(pyctr.root / "run")
    done = pyctr("start", "--restart-policies", check=True)
    assert sorted(done.stdout.split()) == ["kept", "un"]
    assert sorted(pyctr("ps", "--format", "{{.Names}}").stdout.split()) == ["kept", "un"]
    assert pyctr("start", "--restart-policies", check=True).stdout == ""
    pyctr("doctor", "--fix")  # other than after a power failure, the packet filter is still there


def _is_gone(pid: int) -> bool:
    return not os.path.exists(f"/proc/{pid}") or _is_zombie(pid)


def test_conflicting_options_are_refused(pyctr: Pyctr) -> None:
    done = pyctr("run", "--rm", "--restart", "always", "busybox", "true")
    assert (done.returncode, "both --restart and --rm" in done.stderr) == (125, True)
    assert pyctr("run", "--rm", "--restart", "no", "busybox", "true").returncode == 0
    assert "unknown policy" in pyctr("run", "--restart", "maybe", "busybox", "true").stderr
    assert "requires at least 1 argument" in pyctr("start").stderr
    assert "cannot be combined with containers" in pyctr("start", "--restart-policies", "box").stderr


def test_many_restarts_do_not_grow_the_monitor(pyctr: Pyctr) -> None:
    start(pyctr, "always", "trap 'exit 0' USR1; while :; do sleep 0.01; done")
    (id,) = pyctr("ps", "-q", "--no-trunc").stdout.split()
    file = pyctr.root / "containers" / id / "state.json"

    def monitor() -> tuple[int, int, int]:
        pid = json.loads(file.read_text())["MonitorPid"]
        with open(f"/proc/{pid}/smaps_rollup") as rollup:
            memory = sum(int(line.split()[1]) for line in rollup if line.startswith("Anonymous:"))
        return pid, memory, len(os.listdir(f"/proc/{pid}/fd"))

    def again(count: int) -> None:
        os.kill(state(pyctr)["Pid"], signal.SIGKILL)
        until(lambda: state(pyctr)["Status"] == "running" and state(pyctr)["RestartCount"] == count)

    again(1)
    first = monitor()
    for count in (2, 3, 4, 5):
        again(count)
    last = monitor()
    assert last[0] == first[0]
    assert last[2] <= first[2]  # descriptors
    assert last[1] < first[1] + 220  # kB: 76 to 152; 256 when each one froze the last life's garbage
