"""Health checks of real containers: their results, where these are shown, and their limits."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from pyctr_lite.engine.life import health
from tests.conftest import Pyctr

QUICK = ["--health-interval", "50ms", "--health-retries", "2"]


def until(holds: Callable[[], bool]) -> None:
    """Poll until a condition holds. The test's time limit ends an endless wait."""
    while not holds():
        time.sleep(0.01)


def found(pyctr: Pyctr) -> dict[str, Any]:
    value = json.loads(pyctr("inspect", "-f", "{{json .State}}", "box", check=True).stdout)
    return value.get("Health") or {}  # type: ignore[no-any-return]


def start(pyctr: Pyctr, *flags: str, program: str = "sleep 60") -> None:
    pyctr("run", "-d", "--name", "box", *flags, "busybox", *program.split(), check=True)


def is_now(pyctr: Pyctr, status: str) -> Callable[[], bool]:
    return lambda: found(pyctr)["Status"] == status


def test_a_container_is_starting_then_healthy_then_unhealthy(pyctr: Pyctr) -> None:
    start(pyctr, "--health-cmd", "test -e /sick && echo ill && exit 3; echo well", *QUICK)
    until(is_now(pyctr, "healthy"))
    assert "(healthy)" in pyctr("ps", "--format", "{{.Status}}").stdout
    entry = found(pyctr)["Log"][0]
    assert (entry["ExitCode"], entry["Output"]) == (0, "well\n")
    assert entry["Start"] < entry["End"]
    pyctr("exec", "box", "touch", "/sick", check=True)
    until(is_now(pyctr, "unhealthy"))
    assert "(unhealthy)" in pyctr("ps", "--format", "{{.Status}}").stdout
    last = found(pyctr)
    assert last["FailingStreak"] >= 2
    assert (last["Log"][-1]["ExitCode"], last["Log"][-1]["Output"]) == (3, "ill\n")
    assert len(last["Log"]) <= 5
    pyctr("exec", "box", "rm", "/sick", check=True)
    until(is_now(pyctr, "healthy"))
    assert found(pyctr)["FailingStreak"] == 0
    printed = pyctr("events", "--since", "1h", "--until", "0s", "--format", "{{.Action}}").stdout.splitlines()
    assert [line for line in printed if "health" in line] == [
        "health_status: healthy", "health_status: unhealthy", "health_status: healthy"
    ]  # fmt: skip


def test_health_is_starting_before_the_first_check_and_unhealthy_after_the_end(pyctr: Pyctr) -> None:
    start(pyctr, "--health-cmd", "true", "--health-interval", "1h")
    assert found(pyctr) == {"Status": "starting", "FailingStreak": 0, "Log": []}
    assert "(health: starting)" in pyctr("ps", "--format", "{{.Status}}").stdout
    assert pyctr("ps", "-q", "--filter", "health=starting").stdout != ""
    assert pyctr("ps", "-q", "--filter", "health=healthy").stdout == ""
    pyctr("kill", "box", check=True)
    assert found(pyctr)["Status"] == "unhealthy"
    assert "health" not in pyctr("ps", "-a", "--format", "{{.Status}}").stdout


def test_a_container_without_a_check_has_no_health(pyctr: Pyctr) -> None:
    start(pyctr)
    assert found(pyctr) == {}
    assert "health" not in pyctr("ps", "--format", "{{.Status}}").stdout
    assert pyctr("ps", "-q", "--filter", "health=none").stdout != ""
    assert not list(pyctr.root.glob("containers/*/health.json"))


@pytest.fixture
def checked(pyctr: Pyctr) -> str:
    """An image with a HEALTHCHECK."""
    pyctr("create", "--name", "base", "busybox", check=True)
    change = 'HEALTHCHECK --interval=50ms --retries=7 CMD ["echo", "from", "image"]'
    pyctr("commit", "--change", change, "base", "checked", check=True)
    return "checked"


def test_the_images_check_is_run(pyctr: Pyctr, checked: str) -> None:
    pyctr("run", "-d", "--name", "box", checked, "sleep", "60", check=True)
    until(is_now(pyctr, "healthy"))
    assert found(pyctr)["Log"][0]["Output"] == "from image\n"


def test_flags_change_a_part_of_the_images_check(pyctr: Pyctr, checked: str) -> None:
    pyctr("run", "-d", "--name", "box", "--health-cmd", "echo from flag", checked, "sleep", "60", check=True)
    until(is_now(pyctr, "healthy"))
    assert found(pyctr)["Log"][0]["Output"] == "from flag\n"
    config = json.loads(pyctr("inspect", "-f", "{{json .Config.Healthcheck}}", "box").stdout)
    assert config == {"Test": ["CMD-SHELL", "echo from flag"], "Interval": 50_000_000, "Retries": 7}


def test_the_images_check_can_be_left_out(pyctr: Pyctr, checked: str) -> None:
    pyctr("run", "-d", "--name", "box", "--no-healthcheck", checked, "sleep", "60", check=True)
    assert found(pyctr) == {}
    assert pyctr("inspect", "-f", "{{json .Config.Healthcheck}}", "box").stdout == '{"Test":["NONE"]}\n'


def test_a_check_that_takes_too_long_is_killed(pyctr: Pyctr) -> None:
    start(pyctr, "--health-cmd", "echo begun; exec sleep 77", "--health-timeout", "200ms", *QUICK)
    until(is_now(pyctr, "unhealthy"))
    entry = found(pyctr)["Log"][0]
    assert (entry["ExitCode"], entry["Output"]) == (-1, "Health check exceeded timeout (200ms)")
    assert pyctr("top", "box").stdout.count("sleep 77") <= 1  # of the check in progress


def test_a_check_that_cannot_be_run_reports_why(pyctr: Pyctr) -> None:
    start(pyctr, "--health-cmd", "true", *QUICK)
    pyctr("exec", "box", "rm", "/bin/sh", check=True)
    until(is_now(pyctr, "unhealthy"))
    entry = found(pyctr)["Log"][-1]
    assert entry["ExitCode"] == -1
    assert "/bin/sh" in entry["Output"]


def test_long_output_of_a_check_is_truncated(pyctr: Pyctr) -> None:
    start(pyctr, "--health-cmd", "yes | head -c 1000000; printf '\\\\377'", *QUICK)
    until(is_now(pyctr, "healthy"))
    assert found(pyctr)["Log"][0]["Output"] == "y\n" * 2048 + "..."


def test_a_check_runs_with_the_containers_user_environment_and_limits(pyctr: Pyctr) -> None:
    flags = ["-u", "nobody", "-e", "MARK=here", "-w", "/tmp", "--ulimit", "nofile=77"]
    start(
        pyctr,
        "--health-cmd",
        "echo $(id -un) $MARK $(pwd) $(ulimit -n); grep Seccomp: /proc/self/status",
        *QUICK,
        *flags,
    )
    until(is_now(pyctr, "healthy"))
    assert found(pyctr)["Log"][0]["Output"] == "nobody here /tmp 77\nSeccomp:\t2\n"


def test_failures_during_the_start_period_do_not_count(pyctr: Pyctr) -> None:
    flags = ["--health-start-period", "1h", "--health-start-interval", "50ms", "--health-interval", "1h"]
    start(pyctr, "--health-cmd", "test -e /ready", "--health-retries", "1", *flags)
    until(lambda: len(found(pyctr)["Log"]) >= 3)
    now = found(pyctr)
    assert (now["Status"], now["FailingStreak"]) == ("starting", 0)
    pyctr("exec", "box", "touch", "/ready", check=True)
    until(is_now(pyctr, "healthy"))


def test_a_paused_container_is_not_checked(pyctr: Pyctr) -> None:
    start(pyctr, "--health-cmd", "true", *QUICK)
    until(is_now(pyctr, "healthy"))
    pyctr("pause", "box", check=True)

    def is_left_alone() -> bool:
        """Wait for ten intervals; a check that has begun may still end."""
        last = found(pyctr)["Log"][-1]["Start"]
        time.sleep(0.5)
        return bool(found(pyctr)["Log"][-1]["Start"] == last)

    until(is_left_alone)
    before = found(pyctr)["Log"][-1]["Start"]
    pyctr("unpause", "box", check=True)
    until(lambda: found(pyctr)["Log"][-1]["Start"] > before)
    assert found(pyctr)["Status"] == "healthy"


def test_health_starts_over_with_each_start(pyctr: Pyctr) -> None:
    start(pyctr, "--health-cmd", "test -e /second", "--restart", "always", *QUICK)
    until(is_now(pyctr, "unhealthy"))
    pyctr("exec", "box", "touch", "/second", check=True)
    pyctr("restart", "-t", "0", "box", check=True)
    until(is_now(pyctr, "healthy"))
    assert all(entry["ExitCode"] == 0 for entry in found(pyctr)["Log"])


def test_many_checks_do_not_grow_the_monitor(pyctr: Pyctr) -> None:
    start(pyctr, "--health-cmd", "echo $((i + 1))", "--health-interval", "10ms")
    (id,) = pyctr("ps", "-q", "--no-trunc").stdout.split()
    pid = json.loads((pyctr.root / "containers" / id / "state.json").read_text())["MonitorPid"]

    def private() -> int:
        """Return the monitor's private memory in kB, including pages that a running check shares with it."""
        with open(f"/proc/{pid}/status") as status:
            return int(next(line for line in status if line.startswith("RssAnon")).split()[1])

    def wait_for_checks(count: int) -> None:
        for _ in range(count):
            last = (found(pyctr)["Log"] or [{"Start": ""}])[-1]["Start"]
            until(lambda: (found(pyctr)["Log"] or [{"Start": ""}])[-1]["Start"] > last)  # noqa: B023

    wait_for_checks(2)
    before = private()
    wait_for_checks(10)
    assert private() < before + 500  # kB


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--health-interval", "1us"], "cannot be less than 1ms"),
        (["--health-timeout", "soon"], "invalid duration"),
        (["--health-retries", "-1"], "--health-retries cannot be negative"),
        (["--no-healthcheck", "--health-cmd", "true"], "--no-healthcheck conflicts with --health-* options"),
    ],
)
def test_impossible_health_options_are_refused(pyctr: Pyctr, flags: list[str], message: str) -> None:
    done = pyctr("run", *flags, "busybox", "true")
    assert (done.returncode, message in done.stderr) == (125, True)


def test_a_streak_counts_to_the_retries() -> None:
    check, state = {"Retries": 2}, health.new()
    for code, starting, status, streak in [
        (1, True, "starting", 0),
        (1, False, "starting", 1),
        (1, False, "unhealthy", 2),
        (0, False, "healthy", 0),
        (1, True, "healthy", 1),  # the start period ends when it is healthy once
        (0, False, "healthy", 0),
    ]:
        health.add_result(state, {"ExitCode": code}, check, starting=starting)
        assert (state["Status"], state["FailingStreak"]) == (status, streak)
    assert len(state["Log"]) == 5


def test_parts_of_a_check_come_from_flags_then_from_the_image() -> None:
    image = {"Test": ["CMD", "a"], "Interval": 5000000, "Retries": 9}
    assert health.resolve({}, image) == image
    assert health.resolve({"Interval": 7000000}, image) == {
        "Test": ["CMD", "a"],
        "Interval": 7000000,
        "Retries": 9,
    }
    assert health.resolve({"Test": ["NONE"]}, image) == {}
    assert health.resolve({"Interval": 7000000}, {}) == {}
    assert health.resolve({}, {"Test": ["NONE"]}) == {}
    assert health.command({"Test": ["CMD-SHELL", "x y"]}, None) == ["/bin/sh", "-c", "x y"]
    assert health.command({"Test": ["CMD-SHELL", "x y"]}, ["/bin/ash", "-ec"]) == ["/bin/ash", "-ec", "x y"]
    assert health.command({"Test": ["CMD", "x", "y"]}, None) == ["x", "y"]
