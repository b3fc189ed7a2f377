"""`run -it` at a terminal: detach keys, and signals to the client."""

from __future__ import annotations

import hashlib
import os
import signal
from pathlib import Path

import pytest

from tests.conftest import Pyctr
from tests.person import Person, at_terminal


def running(pyctr: Pyctr) -> bool:
    return pyctr("inspect", "-f", "{{.State.Running}}", "box").stdout == "true\n"


@pytest.mark.parametrize(
    ("flags", "keys"), [([], "\x10\x11"), (["--detach-keys", "ctrl-a,d"], "\x01d"), (["--detach-keys", "x"], "x")]
)
def test_the_detach_keys_leave_the_container_running(pyctr: Pyctr, flags: list[str], keys: str) -> None:
    with at_terminal(pyctr.command("run", "-it", "--name", "box", *flags, "busybox", "sh")) as person:
        person.sees("/ # ")
        person.press(keys)
        person.sees("read escape sequence")
        assert person.leaves() == 0
    assert running(pyctr)


def test_other_keys_reach_the_program(pyctr: Pyctr) -> None:
    with at_terminal(
        pyctr.command("run", "-it", "--name", "box", "--detach-keys", "ctrl-a,d", "busybox", "sh")
    ) as person:
        person.sees("/ # ")
        person.press("cat -v\r\x10\x11\x01\r")  # the default keys, and only the first of the given keys
        person.sees("^P^A\r\n")  # the terminal consumes ^Q: it is XON
        person.press("\x04exit 3\r")
        assert person.leaves() == 3


def test_a_paste_larger_than_the_terminals_buffer_arrives_whole(pyctr: Pyctr) -> None:
    script = "stty raw -echo; echo ready; head -c 200000 | md5sum"
    paste = "some text " * 20_000
    with at_terminal(pyctr.command("run", "--rm", "-it", "busybox", "sh", "-c", script)) as person:
        person.sees("ready")
        person.press(paste)
        person.sees(hashlib.md5(paste.encode()).hexdigest())
        assert person.leaves() == 0


def test_invalid_detach_keys_are_refused_before_anything_is_created(pyctr: Pyctr) -> None:
    done = pyctr("run", "--name", "box", "--detach-keys", "ctrl-1", "busybox", "true")
    assert (done.returncode, "invalid detach keys" in done.stderr) == (125, True)
    assert pyctr("ps", "-aq").stdout == ""


def test_with_sig_proxy_a_signal_to_the_client_reaches_the_program(pyctr: Pyctr) -> None:
    script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done"
    with at_terminal(pyctr.command("run", "--name", "box", "busybox", "sh", "-c", script)) as person:
        person.sees("ready")
        _terminate_client(person)
        assert person.leaves() == 9
    assert not running(pyctr)


def test_without_sig_proxy_a_signal_ends_the_client(pyctr: Pyctr) -> None:
    script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done"
    command = pyctr.command("run", "--sig-proxy=false", "--name", "box", "busybox", "sh", "-c", script)
    with at_terminal(command) as person:
        person.sees("ready")
        _terminate_client(person)
        person.leaves()
    assert running(pyctr)


def _terminate_client(person: Person) -> None:
    """Send SIGTERM to the command itself, which is the child of `setsid` if that has forked."""
    pid = person.process.pid
    if Path(f"/proc/{pid}/comm").read_text() == "setsid\n":
        pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    os.kill(pid, signal.SIGTERM)
