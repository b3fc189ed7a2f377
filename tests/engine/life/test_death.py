"""Kill each process at every step that `--explain` shows: the records stay correct, and nothing is left."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pyctr_lite.engine.state.paths import Paths
from pyctr_lite.engine.stores.networks import Networks
from pyctr_lite.networks import names
from tests import network_leaks
from tests.conftest import REPOSITORY
from tests.engine.life.test_survival import children_of, end_of, groups

if TYPE_CHECKING:
    from tests.conftest import Pyctr

# The command line. At the n-th step of all its processes together it writes to the socket and waits.
STOPPING = """
import mmap, os, sys
sys.path.append(sys.argv.pop(1))
at, other = int(sys.argv.pop(1)), int(sys.argv.pop(1))
from pyctr_lite.cli.main import entry
from pyctr_lite.linux import explain
steps = mmap.mmap(-1, 8)
def narrate(*_):
    count = int.from_bytes(steps[:], "little") + 1
    steps[:] = count.to_bytes(8, "little")
    if count == at:
        os.write(explain.sink, b"x")
        os.read(explain.sink, 1)
explain.sink, explain.narrate = other, narrate
entry()
"""


def killed_at(pyctr: Pyctr, step: int, victim: str, *words: str) -> int | None:
    """Run a command, kill one of its processes at a step, and return its pid; 0 if it did not run at that step.

    Returns None if there is no such step because the command has ended.
    """
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            program = [sys.executable, "-c", STOPPING, str(REPOSITORY), str(step), str(theirs.fileno())]
            cli = subprocess.Popen(
                [*program, "--root", str(pyctr.root), *words],
                pass_fds=[theirs.fileno()],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        reached = ours.recv(1) == b"x"
        monitor = next(iter(children_of(cli.pid)), 0)
        container = next(iter(children_of(monitor)), 0)
        chosen = {"cli": cli.pid, "monitor": monitor, "container": container}[victim]
        if reached and chosen:
            os.kill(chosen, signal.SIGKILL)
            if victim == "cli":
                cli.wait()
        with contextlib.suppress(BrokenPipeError):
            ours.send(b"x")  # the other processes continue
    cli.wait(timeout=20)
    for pid in (container, monitor):
        if pid:
            end_of(pid)
    return chosen if reached else None


@pytest.mark.timeout(600)
@pytest.mark.parametrize("victim", ["cli", "monitor", "container"])
def test_a_kill_at_any_step_of_run_leaves_nothing_behind(pyctr: Pyctr, victim: str) -> None:
    pyctr("run", "--rm", "busybox", "true", check=True)  # so that all directories exist
    network = Networks(Paths(str(pyctr.root))).make("red")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    more = ("--network", "red", "-p", f"{port}:80", "-v", "data:/data", "busybox")
    words = ("run", "-m", "64m", *more, "true")
    step = killed = 0
    while (pid := killed_at(pyctr, step + 1, victim, *words)) is not None:
        assert pyctr("ps", "-q", check=True).stdout == ""  # all its processes have ended
        step, killed = step + 1, killed + bool(pid)
    assert killed > 50
    if left := pyctr("ps", "-aq").stdout.split():
        pyctr("rm", "-f", *left, check=True)
    for directory in (pyctr.root / "containers").iterdir():  # make half-made ones old enough for doctor
        os.utime(directory, (0, 0))
    for name in (pyctr.root / "names").iterdir():
        os.utime(name, (0, 0), follow_symlinks=False)
    for half in (pyctr.root / "run/networks").rglob(".*"):
        os.utime(half, (0, 0))
    pyctr("doctor", "--fix")
    assert list((pyctr.root / "containers").iterdir()) == []
    assert list((pyctr.root / "run/containers").iterdir()) == []
    assert groups(pyctr.root) == []
    assert network_leaks.of_containers(pyctr.root, [network]) == {}
    assert names.containers(f"{pyctr.root}/run/networks/{network.id}/names") == set()
    assert pyctr("run", "--rm", *more, "echo", "again").stdout == "again\n"


def test_a_kill_at_any_step_of_commit_leaves_no_image(pyctr: Pyctr) -> None:
    pyctr("run", "--name", "box", "busybox", "sh", "-c", "mkdir /d; echo new >/d/file; rm /etc/passwd", check=True)
    step = 0
    while killed_at(pyctr, step + 1, "cli", "commit", "box", "made"):
        assert pyctr("images", "-q", "made").stdout == ""
        step += 1
    assert step
    assert pyctr("run", "--rm", "made", "cat", "/d/file").stdout == "new\n"
    assert not list((pyctr.root / "images").rglob("staging/*"))
