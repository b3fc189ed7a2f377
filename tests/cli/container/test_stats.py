"""stats and top: resource usage, once, as a stream and live; processes."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from tests.person import at_terminal

if TYPE_CHECKING:
    from tests.conftest import Pyctr


def run(pyctr: Pyctr, name: str, *flags: str, script: str = "exec sleep 1000") -> str:
    return pyctr("run", "-d", "--name", name, *flags, "busybox", "sh", "-c", script, check=True).stdout.strip()


def percent(text: str) -> float:
    return float(text.removesuffix("%"))


def test_stats_shows_the_usage_of_each_container(pyctr: Pyctr) -> None:
    busy = run(pyctr, "busy", "-m", "64m", script="while :; do :; done")
    run(pyctr, "idle", "-m", "128m", script="sleep 1000 & exec sleep 1000")
    pyctr("create", "--name", "new", "busybox", check=True)
    done = pyctr("stats", "--no-stream", "--format", "json", check=True)
    rows = {row["Name"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert set(rows) == {"busy", "idle"}
    assert rows["busy"]["ID"] == busy[:12]
    assert 20 < percent(rows["busy"]["CPUPerc"]) < 150
    assert percent(rows["idle"]["CPUPerc"]) < 5
    assert rows["busy"]["MemUsage"].endswith("iB / 64MiB")
    assert 0 < percent(rows["busy"]["MemPerc"]) < 50
    assert (rows["busy"]["PIDs"], rows["idle"]["PIDs"]) == ("1", "2")
    assert all(part.endswith("B") for part in rows["idle"]["NetIO"].split(" / "))


def test_stats_of_named_containers_or_of_all(pyctr: Pyctr) -> None:
    run(pyctr, "web")
    new = pyctr("create", "--name", "new", "busybox", check=True).stdout.strip()
    header, row = pyctr("stats", "--no-stream", "new", check=True).stdout.splitlines()
    assert header.split("  ")[0] == "CONTAINER ID"
    assert row.split() == [new[:12], "new", "0.00%", *("0B", "/", "0B"), "0.00%", *2 * ("0B", "/", "0B"), "0"]
    form = "{{.Name}} {{.Container}}"
    every = pyctr("stats", "-a", "--no-stream", "--no-trunc", "--format", form, check=True).stdout
    assert sorted(line.split()[0] for line in every.splitlines()) == ["new", "web"]


def test_stats_refuses_bad_arguments_before_it_waits(pyctr: Pyctr) -> None:
    missing = pyctr("stats", "nosuch")
    assert missing.returncode == 1
    assert missing.stderr.startswith("pyctr_lite: No such container: nosuch\n")
    wrong = pyctr("stats", "--no-stream", "--format", "{{.Name")
    assert wrong.returncode == 1
    assert "unclosed action" in wrong.stderr


def test_stats_streams_to_a_pipe_without_escapes_until_the_container_is_gone(pyctr: Pyctr) -> None:
    run(pyctr, "web")
    command = pyctr.command("stats", "--format", "{{.Name}}", "web")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as streaming:
        assert streaming.stdout is not None
        assert streaming.stdout.readline() == "web\n"
        pyctr("rm", "-f", "web", check=True)
        assert set(streaming.stdout.read().split()) <= {"web"}
        assert streaming.wait() == 0


def test_stats_updates_a_terminal_until_ctrl_c(pyctr: Pyctr) -> None:
    run(pyctr, "web")
    with at_terminal(pyctr.command("stats")) as person:
        person.sees("CONTAINER ID")
        first = person.sees("\x1b[J")
        assert "web" in first
        assert "--" in first  # a CPU percentage needs two measurements
        person.sees("\x1b[H")
        assert "0.0" in person.sees("\x1b[J")
        person.press("\x03")
        assert person.leaves() == 130
        assert "Traceback" not in person.shown


def test_top_shows_the_processes_with_their_host_pids(pyctr: Pyctr) -> None:
    run(pyctr, "web", "-u", "7", script="sleep 1001 & exec sleep 1002")
    header, *rows = pyctr("top", "web", check=True).stdout.splitlines()
    assert header.split() == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert sorted(row.split(None, 7)[7] for row in rows) == ["sleep 1001", "sleep 1002"]
    pids = {row.split()[1] for row in rows}
    assert pyctr("inspect", "-f", "{{.State.Pid}}", "web").stdout.strip() in pids
    assert all(row.split()[0] == "lp" for row in rows)


def test_top_takes_the_options_of_ps(pyctr: Pyctr) -> None:
    run(pyctr, "web")
    header, row = pyctr("top", "web", "-eo", "pid,comm", check=True).stdout.splitlines()
    assert header.split() == ["PID", "COMMAND"]
    assert row.split() == [pyctr("inspect", "-f", "{{.State.Pid}}", "web").stdout.strip(), "sleep"]
    without = pyctr("top", "web", "-eo", "comm")
    assert without.returncode == 1
    assert without.stderr.splitlines()[0] == "pyctr_lite: Couldn't find PID field in ps output"
    wrong = pyctr("top", "web", "--nosuch")
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("pyctr_lite: ps: error: unknown gnu long option")


def test_top_without_e_shows_the_processes_of_any_terminal(pyctr: Pyctr) -> None:
    run(pyctr, "web", "-t", script="sleep 1000")
    for options in (["-o", "pid,comm"], ["-o", "pid,tty", "-f"], ["x"]):
        assert len(pyctr("top", "web", *options, check=True).stdout.splitlines()) == 2, options


def test_top_of_a_stopped_container_is_an_error(pyctr: Pyctr) -> None:
    pyctr("create", "--name", "new", "busybox", check=True)
    done = pyctr("top", "new")
    assert (done.returncode, done.stderr) == (1, "pyctr_lite: container new is not running\n")
