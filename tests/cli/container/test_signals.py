"""Signals to the client: all reach the program, no container is orphaned, and no terminal is left raw."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import termios
import time
from pathlib import Path

import pytest

from tests.conftest import SLOWNESS, Pyctr
from tests.person import Person, at_terminal

NOT_PASSED_ON = {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGPIPE, signal.SIGURG}
PASSED_ON = sorted({*range(1, 65)} - {int(number) for number in NOT_PASSED_ON} - {32, 33})
NOTES = (
    'for n in $(seq 1 16) $(seq 18 64); do trap "echo got $n" $n; done 2>/dev/null; '
    "echo ready; while :; do sleep 0.02; done"
)
"""A shell that prints each signal that it gets."""


def start(pyctr: Pyctr, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        pyctr.command(*args), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def client_of(person: Person) -> int:
    """Return the pid of the command itself, which is the child of `setsid` if that has forked."""
    pid = person.process.pid
    if Path(f"/proc/{pid}/comm").read_text() == "setsid\n":
        pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    return pid


def is_running(pyctr: Pyctr) -> bool:
    return pyctr("inspect", "-f", "{{.State.Running}}", "box").stdout == "true\n"


def ends(pyctr: Pyctr, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds * SLOWNESS
    while is_running(pyctr):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.timeout(120)
@pytest.mark.parametrize("verb", ["run", "run -i", "start", "attach", "exec", "exec -i"])
def test_every_signal_is_passed_on(pyctr: Pyctr, verb: str) -> None:
    args = ["--name", "box", "busybox", "sh", "-c", NOTES]
    if verb.startswith("run"):
        client = start(pyctr, *verb.split(), *args)
    elif verb == "start":
        pyctr("create", *args, check=True)
        client = start(pyctr, "start", "-a", "box")
    elif verb == "attach":
        until_attached = "while [ ! -e /go ]; do echo ready; sleep 0.1; done;"
        pyctr("run", "-d", *[arg.replace("echo ready;", until_attached) for arg in args], check=True)
        client = start(pyctr, "attach", "box")
    else:
        pyctr("run", "-d", "--name", "box", "busybox", "sleep", "100", check=True)
        client = start(pyctr, *verb.split(), "box", "sh", "-c", NOTES)
    assert next_line(client) == "ready"
    if verb == "attach":
        pyctr("exec", "box", "touch", "/go", check=True)
        client.send_signal(signal.SIGWINCH)
        while next_line(client) == "ready":
            pass
    try:
        for number in PASSED_ON:
            client.send_signal(number)
            assert next_line(client) == f"got {number}"
        for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGURG):
            client.send_signal(number)
        client.send_signal(signal.SIGUSR1)
        assert next_line(client) == f"got {int(signal.SIGUSR1)}"
    finally:
        pyctr("kill", "box", check=True)
        client.communicate(timeout=30)
    assert client.returncode == 137


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR1, signal.SIGSEGV])
def test_every_signal_is_passed_on_with_a_terminal_too(pyctr: Pyctr, number: int) -> None:
    with at_terminal(pyctr.command("run", "-it", "--name", "box", "busybox", "sh", "-c", NOTES)) as person:
        person.sees("ready")
        os.kill(client_of(person), number)
        person.sees(f"got {int(number)}")
        person.press("\x10\x11")
        assert person.leaves() == 0


@pytest.mark.parametrize(
    ("verb", "name"),
    [
        *(("run", name) for name in "HUP INT QUIT ABRT USR1 SEGV TERM IO PWR".split()),
        ("attach", "TERM"),
        ("attach", "QUIT"),
    ],
)
def test_no_signal_leaves_the_terminal_raw(pyctr: Pyctr, name: str, verb: str) -> None:
    number = signal.Signals["SIG" + name]
    args = ["-it", "--name", "box", "busybox", "sh"]
    if verb == "attach":
        pyctr("run", "-d", *args, check=True)
        args = ["box"]
    with at_terminal(pyctr.command(verb, "--sig-proxy=false", *args)) as person:
        usual = termios.tcgetattr(person.master)
        person.press("echo read''y\r")
        person.sees("ready")
        assert termios.tcgetattr(person.master) != usual or verb == "run"
        os.kill(client_of(person), number)
        assert person.leaves() == 128 + number
        assert termios.tcgetattr(person.master)[3] & termios.ECHO
    assert is_running(pyctr)


def hang_up(pyctr: Pyctr, args: list[str], ready: str) -> None:
    """Run a command at a terminal, and close the terminal at the first output."""
    master, slave = pty.openpty()
    client = subprocess.Popen(
        ["setsid", "--ctty", "--wait", *pyctr.command("run", "-it", "--name", "box", "busybox", *args)],
        stdin=slave, stdout=slave, stderr=slave,
    )  # fmt: skip
    os.close(slave)
    shown = b""
    while ready.encode() not in shown:
        shown += os.read(master, 4096)
    os.close(master)
    client.wait(20 * SLOWNESS)


@pytest.mark.parametrize(
    ("args", "ready"),
    [
        (["sh"], "/ # "),
        (["sh", "-c", "echo ready; exec cat"], "ready"),
        (["sh", "-c", "trap 'exit 5' HUP; echo ready; while :; do sleep 0.02; done"], "ready"),
    ],
)
def test_closing_the_terminal_ends_the_program(pyctr: Pyctr, args: list[str], ready: str) -> None:
    hang_up(pyctr, args, ready)
    assert ends(pyctr)


def test_a_program_that_ignores_sighup_outlives_the_terminal_as_in_docker(pyctr: Pyctr) -> None:
    hang_up(pyctr, ["sh", "-c", "trap '' HUP; echo ready; sleep 2; exit 3"], "ready")
    assert ends(pyctr)
    assert pyctr("inspect", "-f", "{{.State.ExitCode}}", "box").stdout == "3\n"


def test_a_signal_overtakes_input_that_is_not_read(pyctr: Pyctr) -> None:
    pyctr("run", "-d", "--name", "box", "busybox", "sleep", "100", check=True)
    script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.02; done"
    for args in (["run", "--rm", "-i", "busybox"], ["exec", "-i", "box"]):
        with subprocess.Popen(["yes"], stdout=subprocess.PIPE) as yes:
            client = subprocess.Popen(
                pyctr.command(*args, "sh", "-c", script), stdin=yes.stdout, stdout=subprocess.PIPE, text=True
            )
            assert next_line(client) == "ready"
            time.sleep(0.3)
            client.terminate()
            assert client.wait(30) == 9
            assert client.stdout is not None
            client.stdout.close()
            yes.kill()


@pytest.mark.parametrize("flags", [[], ["-d"], ["-i"]])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_any_moment_orphans_nothing(pyctr: Pyctr, flags: list[str], number: int) -> None:
    """Up to the program's start: no container is made, or it gets the signal, or (-d) it runs and is known."""
    script = "trap 'exit 7' INT TERM HUP USR1; while :; do sleep 0.02; done"
    for step in range(8):
        client = subprocess.Popen(
            pyctr.command("run", "--rm", *flags, "busybox", "sh", "-c", script),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(0.06 + 0.04 * step)
        client.send_signal(number)
        if flags != ["-d"]:
            try:
                client.wait(5)
            except subprocess.TimeoutExpired:  # the signal came before the shell had set its trap
                client.send_signal(number)
        out, _ = client.communicate(timeout=30)
        names = pyctr("ps", "-aq", "--no-trunc").stdout.split()
        assert set(names) <= set(out.decode().split() if flags == ["-d"] else [])
        if names:
            assert pyctr("inspect", "-f", "{{.State.Status}}", *names).stdout == "running\n"
            pyctr("rm", "-f", *names, check=True)


def test_under_nohup_a_hang_up_does_not_reach_the_program(pyctr: Pyctr) -> None:
    client = subprocess.Popen(
        ["nohup", *pyctr.command("run", "--name", "box", "busybox", "sh", "-c", NOTES)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert next_line(client) == "ready"
    client.send_signal(signal.SIGHUP)
    client.send_signal(signal.SIGUSR1)
    assert next_line(client) == f"got {int(signal.SIGUSR1)}"
    pyctr("kill", "box", check=True)
    client.communicate(timeout=30)
