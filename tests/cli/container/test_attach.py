"""`attach`: the terminal of a running container."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.open_files import has_open
from tests.person import at_terminal

if TYPE_CHECKING:
    from tests.conftest import Pyctr


def test_attach_shows_new_output_and_exits_with_the_exit_code(pyctr: Pyctr) -> None:
    waiting = "until [ -e /go ]; do usleep 10000; done; echo out; echo err >&2; exit 3"
    pyctr("run", "-d", "--name", "job", "busybox", "sh", "-c", f"echo before; {waiting}", check=True)
    process = subprocess.Popen(
        pyctr.command("attach", "job"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    wait_for_client(process)
    pyctr("exec", "job", "touch", "/go", check=True)
    assert process.communicate(timeout=30) == (b"out\n", b"err\n")
    assert process.returncode == 3


def wait_for_client(process: subprocess.Popen[bytes], *, catching: int = 0) -> None:
    """Wait until a command is connected to a monitor, and has a handler for a signal."""
    while not has_open(process.pid, "socket:"):
        time.sleep(0.01)
    while catching and not _caught(process.pid) >> (catching - 1) & 1:
        time.sleep(0.01)


def _caught(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().partition("SigCgt:")[2].split()[0], 16)


def test_attach_sends_input_and_the_end_of_input_leaves_the_container_running(pyctr: Pyctr) -> None:
    pyctr("run", "-d", "-i", "--name", "cat", "busybox", "cat", check=True)
    process = subprocess.Popen(pyctr.command("attach", "cat"), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"hello\n")
    process.stdin.close()
    assert process.stdout.readline() == b"hello\n"
    assert pyctr("inspect", "-f", "{{.State.Running}}", "cat").stdout == "true\n"
    pyctr("kill", "cat", check=True)
    assert process.wait(timeout=30) == 137
    process.stdout.close()


def test_attach_passes_signals_on_unless_sig_proxy_is_false(pyctr: Pyctr) -> None:
    trap = "trap 'echo caught; exit 5' TERM; echo ready; while :; do usleep 10000; done"
    pyctr("run", "-d", "--name", "box", "busybox", "sh", "-c", trap, check=True)
    while pyctr("logs", "box").stdout != "ready\n":
        time.sleep(0.02)
    process = subprocess.Popen(
        pyctr.command("attach", "--sig-proxy=false", "box"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    wait_for_client(process)
    process.terminate()
    assert process.wait(timeout=30) == -15
    assert process.stdout is not None
    process.stdout.close()
    assert pyctr("inspect", "-f", "{{.State.Running}}", "box").stdout == "true\n"
    process = subprocess.Popen(pyctr.command("attach", "box"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    wait_for_client(process, catching=signal.SIGTERM)
    process.terminate()
    output, _ = process.communicate(timeout=30)
    assert (output, process.returncode) == (b"caught\n", 5)


def test_the_detach_keys_end_attach_at_a_terminal(pyctr: Pyctr) -> None:
    pyctr("run", "-dit", "--name", "shell", "busybox", "sh", check=True)
    with at_terminal(pyctr.command("attach", "--detach-keys", "ctrl-x,q", "shell")) as person:
        person.press("echo $((6*7))\n")
        person.sees("42")
        person.press("\x18q")
        person.sees("read escape sequence")
        assert person.leaves() == 1
    assert pyctr("inspect", "-f", "{{.State.Running}}", "shell").stdout == "true\n"


def test_the_detach_keys_end_exec_with_1_as_in_docker(pyctr: Pyctr) -> None:
    pyctr("run", "-d", "--name", "box", "busybox", "sleep", "1000", check=True)
    with at_terminal(pyctr.command("exec", "-it", "box", "sh")) as person:
        person.sees("/ # ")
        person.press("\x10\x11")
        person.sees("read escape sequence")
        assert person.leaves() == 1


def test_attach_reports_why_it_cannot_attach(pyctr: Pyctr) -> None:
    pyctr("create", "--name", "made", "busybox", "true", check=True)
    pyctr("run", "-d", "--name", "paused", "busybox", "sleep", "1000", check=True)
    pyctr("pause", "paused", check=True)
    pyctr("run", "-dit", "--name", "shell", "busybox", "sh", check=True)
    for name, message in {
        "made": "You cannot attach to a stopped container, start it first",
        "paused": "You cannot attach to a paused container, unpause it first",
        "shell": "the input device is not a TTY",
        "nobody": "No such container: nobody",
    }.items():
        done = pyctr("attach", name)
        assert done.returncode == 1
        assert message in done.stderr
