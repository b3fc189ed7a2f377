"""logs: a container's output, by stream, all or a part of it, and as it is written."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.person import at_terminal

if TYPE_CHECKING:
    from tests.conftest import Pyctr

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z"


def run(pyctr: Pyctr, name: str, script: str, *flags: str) -> None:
    pyctr("run", "-d", "--name", name, *flags, "busybox", "sh", "-c", script, check=True)


def finished(pyctr: Pyctr, name: str, script: str, *flags: str) -> None:
    run(pyctr, name, script, *flags)
    pyctr("wait", name, check=True)


def test_each_stream_is_printed_to_its_own(pyctr: Pyctr) -> None:
    finished(pyctr, "job", "echo out; echo err >&2; printf end")
    done = pyctr("logs", "job")
    assert (done.returncode, done.stdout, done.stderr) == (0, "out\nend", "err\n")


def test_the_order_of_the_streams_is_kept(pyctr: Pyctr) -> None:
    finished(pyctr, "job", "for i in 1 2 3; do echo out$i; sleep 0.02; echo err$i >&2; sleep 0.02; done")
    both = subprocess.run(
        pyctr.command("logs", "job"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert both.stdout.split() == ["out1", "err1", "out2", "err2", "out3", "err3"]


def test_a_terminal_has_one_stream(pyctr: Pyctr) -> None:
    finished(pyctr, "job", "echo out; echo err >&2", "-t")
    done = pyctr("logs", "job")
    assert (done.stdout, done.stderr) == ("out\nerr\n", "")


def test_a_container_that_never_ran_has_no_log(pyctr: Pyctr) -> None:
    pyctr("create", "--name", "new", "busybox", check=True)
    for flags in ([], ["-f"], ["-n", "3"]):
        done = pyctr("logs", *flags, "new")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_tail_limits_the_number_of_lines(pyctr: Pyctr) -> None:
    finished(pyctr, "job", "echo 1; echo 2; echo 3")
    every = "1\n2\n3\n"
    for tail, shown in {"0": "", "1": "3\n", "2": "2\n3\n", "3": every, "9": every, "all": every}.items():
        assert pyctr("logs", "--tail", tail, "job").stdout == shown
    assert pyctr("logs", "-f", "-n", "2", "job").stdout == "2\n3\n"


def test_a_tail_that_is_not_a_number_is_refused(pyctr: Pyctr) -> None:
    done = pyctr("logs", "-n", "few", "job")
    assert done.returncode == 125
    assert 'invalid argument "few" for "-n, --tail" flag' in done.stderr


def test_timestamps_and_details_precede_the_line(pyctr: Pyctr) -> None:
    finished(pyctr, "job", "echo hello")
    assert re.fullmatch(f"{TIME} hello\n", pyctr("logs", "-t", "job").stdout)
    assert pyctr("logs", "--details", "job").stdout == " hello\n"
    assert re.fullmatch(f"{TIME}  hello\n", pyctr("logs", "-t", "--details", "job").stdout)


def test_since_and_until_limit_by_time(pyctr: Pyctr) -> None:
    finished(pyctr, "job", "echo early; sleep 0.4; echo late")
    early, late = (line.split()[0] for line in pyctr("logs", "-t", "job").stdout.splitlines())
    assert pyctr("logs", "--since", late, "job").stdout == "late\n"
    assert pyctr("logs", "--until", early, "job").stdout == "early\n"
    assert pyctr("logs", "--since", early, "--until", late, "job").stdout == "early\nlate\n"
    assert pyctr("logs", "--since", "1h", "job").stdout == "early\nlate\n"
    assert pyctr("logs", "--until", "1h", "job").stdout == ""
    assert pyctr("logs", "--since", str(int(time.time()) + 100), "job").stdout == ""


@pytest.mark.parametrize("flag", ["since", "until"])
def test_an_invalid_time_is_reported_in_one_clear_line(pyctr: Pyctr, flag: str) -> None:
    done = pyctr("logs", f"--{flag}", "soon", "job")
    assert done.returncode == 1
    message = f'invalid value for "{flag}": failed to parse value as time or duration: "soon"'
    assert done.stderr.splitlines()[0] == f"pyctr_lite: {message}"


def test_a_missing_container_is_reported_in_one_clear_line(pyctr: Pyctr) -> None:
    pyctr("create", "--name", "web", "busybox", check=True)
    done = pyctr("logs", "wbe")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "pyctr_lite: No such container: wbe\n  did you mean web?\n"


def test_follow_shows_lines_as_they_come_and_ends_with_the_container(pyctr: Pyctr) -> None:
    run(pyctr, "cat", "read a; echo $a; read b; echo $b; echo bye; exit 3", "-i")
    with (
        subprocess.Popen(pyctr.command("logs", "-f", "cat"), stdout=subprocess.PIPE, text=True) as following,
        subprocess.Popen(
            pyctr.command("start", "-ai", "cat"), stdin=subprocess.PIPE, stdout=-3, text=True
        ) as writer,
    ):
        assert writer.stdin is not None
        assert following.stdout is not None
        for line in ("one\n", "two\n"):
            writer.stdin.write(line)
            writer.stdin.flush()
            assert following.stdout.readline() == line
        assert following.stdout.read() == "bye\n"
        assert following.wait() == 0


def test_follow_ends_when_the_container_is_removed_and_misses_nothing(pyctr: Pyctr) -> None:
    run(pyctr, "job", "for i in $(seq 50); do echo $i; sleep 0.005; done", "--rm")
    assert pyctr("logs", "-f", "job").stdout.split() == [str(number) for number in range(1, 51)]


def test_follow_respects_tail_and_until(pyctr: Pyctr) -> None:
    run(pyctr, "web", "echo 1; echo 2; sleep 1000")
    while pyctr("logs", "web").stdout != "1\n2\n":
        pass
    end = f"{time.time() + 0.3:.3f}"
    assert pyctr("logs", "-f", "-n", "1", "--until", end, "web").stdout == "2\n"
    assert time.time() >= float(end)


def test_follow_ends_when_the_monitor_and_the_container_are_killed(pyctr: Pyctr) -> None:
    run(pyctr, "web", "echo hello; exec sleep 1000")
    id = pyctr("inspect", "-f", "{{.Id}}", "web").stdout.strip()
    pid = int(pyctr("inspect", "-f", "{{.State.Pid}}", "web").stdout)
    with subprocess.Popen(pyctr.command("logs", "-f", "web"), stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        assert following.stdout.readline() == "hello\n"
        text = (pyctr.root / "containers" / id / "state.json").read_text()
        found = re.search(r'"MonitorPid": (\d+)', text)
        assert found is not None
        os.kill(int(found[1]), signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
        assert following.wait(60) == 0
    assert pyctr("inspect", "-f", "{{.State.ExitCode}}", "web").stdout == "255\n"
    assert pyctr("logs", "web").stdout == "hello\n"


def test_follow_waits_without_using_the_cpu(pyctr: Pyctr) -> None:
    run(pyctr, "web", "echo ready; sleep 1000")
    with subprocess.Popen(pyctr.command("logs", "-f", "web"), stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        assert following.stdout.readline() == "ready\n"

        def ticks() -> int:
            with open(f"/proc/{following.pid}/stat") as file:
                return sum(map(int, file.read().rpartition(")")[2].split()[11:13]))

        before = ticks()
        time.sleep(0.3)
        assert ticks() - before <= 1
        following.kill()


def test_ctrl_c_ends_follow_but_not_the_container(pyctr: Pyctr) -> None:
    run(pyctr, "web", "echo ready; sleep 1000")
    with at_terminal(pyctr.command("logs", "-f", "web")) as person:
        person.sees("ready\r\n")
        person.press("\x03")
        assert person.leaves() == 130
        assert "Traceback" not in person.shown
    assert pyctr("ps", "--format", "{{.Names}}").stdout == "web\n"


def test_a_reader_that_goes_away_is_not_an_error(pyctr: Pyctr) -> None:
    finished(pyctr, "job", "seq 20000")
    with subprocess.Popen(pyctr.command("logs", "job"), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as done:
        assert done.stdout is not None
        assert done.stderr is not None
        done.stdout.read(10)
        done.stdout.close()
        assert done.stderr.read() == b""
