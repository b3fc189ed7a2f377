"""`run -it` as a person has it: keys to leave by, and signals of the client."""

from __future__ import annotations

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
def test_the_detach_keys_leave_it_running(pyctr: Pyctr, flags: list[str], keys: str) -> None:
    with at_terminal(pyctr.command("run", "-it", "--name", "box", *flags, "busybox", "sh")) as person:
        person.sees("/ # ")
        person.press(keys)
        person.sees("read escape sequence")
        assert person.leaves() == 0
    assert running(pyctr)


def test_other_keys_are_the_programs(pyctr: Pyctr) -> None:
    with at_terminal(
        pyctr.command("run", "-it", "--name", "box", "--detach-keys", "ctrl-a,d", "busybox", "sh")
    ) as person:
        person.sees("/ # ")
        person.press("cat -v\r\x10\x11\x01\r")  # the default keys, and the first alone of those that were given
        person.sees("^P^A\r\n")  # ^Q is eaten on the way: it is XON
        person.press("\x04exit 3\r")
        assert person.leaves() == 3


def test_detach_keys_that_are_none_are_refused_before_anything_is_made(pyctr: Pyctr) -> None:
    done = pyctr("run", "--name", "box", "--detach-keys", "ctrl-1", "busybox", "true")
    assert (done.returncode, "invalid detach keys" in done.stderr) == (125, True)
    assert pyctr("ps", "-aq").stdout == ""


def test_a_signal_of_the_client_is_the_programs_with_sig_proxy(pyctr: Pyctr) -> None:
    script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done"
    with at_terminal(pyctr.command("run", "--name", "box", "busybox", "sh", "-c", script)) as person:
        person.sees("ready")
        _terminate_client(person)
        assert person.leaves() == 9
    assert not running(pyctr)


def test_without_sig_proxy_it_is_the_clients_own(pyctr: Pyctr) -> None:
    script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done"
    command = pyctr.command("run", "--sig-proxy=false", "--name", "box", "busybox", "sh", "-c", script)
    with at_terminal(command) as person:
        person.sees("ready")
        _terminate_client(person)
        person.leaves()
    assert running(pyctr)


def _terminate_client(person: Person) -> None:
    """Send SIGTERM to the command itself: where `setsid` has forked, to its child."""
    pid = person.process.pid
    if Path(f"/proc/{pid}/comm").read_text() == "setsid\n":
        pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
    os.kill(pid, signal.SIGTERM)
