"""Input and output of `run`: bytes, end of input, slow readers, signals; and `-d`."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import Pyctr


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def run_bytes(pyctr: Pyctr, data: bytes, *args: str) -> subprocess.CompletedProcess[bytes]:
    """Run `run -i` with bytes as its input."""
    command = pyctr.command("run", "--rm", "-i", "busybox", *args)
    return subprocess.run(command, input=data, capture_output=True, timeout=60)


def test_ten_megabytes_go_through_cat_unchanged(pyctr: Pyctr) -> None:
    data = os.urandom(10 << 20)
    done = run_bytes(pyctr, data, "cat")
    assert (done.returncode, digest(done.stdout)) == (0, digest(data))


def test_output_that_is_larger_than_its_input_does_not_block(pyctr: Pyctr) -> None:
    """The sender must also read, or both sides wait for each other."""
    data = os.urandom(1 << 20)
    done = run_bytes(pyctr, data, "hexdump", "-v", "-e", r'1/1 "%02x\n"')
    assert done.stdout.replace(b"\n", b"").decode() == data.hex()


def test_the_end_of_the_input_reaches_the_program(pyctr: Pyctr) -> None:
    assert run_bytes(pyctr, b"a\nb", "wc", "-c").stdout == b"3\n"
    assert run_bytes(pyctr, b"", "cat").stdout == b""


def test_without_i_the_program_has_no_input(pyctr: Pyctr) -> None:
    assert pyctr("run", "--rm", "busybox", "cat", input="unread\n").stdout == ""


def test_unread_input_does_not_block_the_exit(pyctr: Pyctr) -> None:
    done = run_bytes(pyctr, b"x" * (4 << 20), "sh", "-c", "head -c 3; exit 5")
    assert (done.returncode, done.stdout) == (5, b"xxx")


def test_a_signal_overtakes_unread_input(pyctr: Pyctr) -> None:
    script = "trap 'exit 9' INT; echo ready; sleep 60 & wait"
    command = pyctr.command("run", "--rm", "-i", "busybox", "sh", "-c", script)
    with (
        subprocess.Popen(["cat", "/dev/zero"], stdout=subprocess.PIPE) as zeros,
        subprocess.Popen(command, stdin=zeros.stdout, stdout=subprocess.PIPE) as running,
    ):
        assert running.stdout is not None
        assert zeros.stdout is not None
        zeros.stdout.close()
        assert running.stdout.readline() == b"ready\n"
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=60) == 9
        zeros.kill()


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGUSR1"])
def test_signals_to_the_client_reach_the_program_unless_sig_proxy_is_false(pyctr: Pyctr, name: str) -> None:
    script = f"trap 'exit 7' {name[3:]}; echo ready; while :; do usleep 10000; done"
    for flags, code in ((["--sig-proxy=true"], 7), (["--sig-proxy=false"], -getattr(signal, name))):
        command = pyctr.command("run", *flags, "busybox", "sh", "-c", script)
        command = ["env", "--default-signal", *command]  # under nohup(1) SIGHUP would be ignored
        with subprocess.Popen(command, stdout=subprocess.PIPE) as running:
            assert running.stdout is not None
            assert running.stdout.readline() == b"ready\n"
            running.send_signal(getattr(signal, name))
            assert running.wait(timeout=60) == code
    assert len(pyctr("ps", "-q").stdout.split()) == 1  # without the proxy only the client ends


def test_stdout_and_stderr_are_separate(pyctr: Pyctr) -> None:
    done = pyctr("run", "--name", "both", "busybox", "sh", "-c", "echo out; echo err >&2; printf part")
    assert (done.stdout, done.stderr) == ("out\npart", "err\n")
    logged = pyctr("logs", "both")
    assert (logged.stdout, logged.stderr) == ("out\npart", "err\n")


def test_long_output_arrives_complete(pyctr: Pyctr) -> None:
    line = "a line that is about as long as lines in logs are, and a little longer than that"
    size = 50_000_000
    script = f"yes '{line}' | head -c {size}"
    command = pyctr.command("run", "--rm", "busybox", "sh", "-c", script)
    found = hashlib.sha256()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        while chunk := running.stdout.read(1 << 20):
            found.update(chunk)
    text = f"{line}\n".encode()
    assert found.hexdigest() == digest((text * (size // len(text) + 1))[:size])


def test_a_late_reader_gets_all_output_and_delays_nothing(pyctr: Pyctr) -> None:
    """The program has ended long before its output is read: its end is recorded at once, and no output is lost."""
    command = pyctr.command("run", "--name", "late", "busybox", "sh", "-c", "head -c 200000 /dev/zero; exit 3")
    with subprocess.Popen(command, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        got = len(os.read(running.stdout.fileno(), 1))
        running.send_signal(signal.SIGSTOP)
        assert pyctr("wait", "late", timeout=60).stdout == "3\n"
        pyctr("rm", "late", check=True)
        time.sleep(0.1)
        running.send_signal(signal.SIGCONT)
        assert len(running.stdout.read()) == 200000 - got
        assert running.wait() == 3


def test_a_process_left_in_the_hosts_pid_namespace_does_not_delay_the_exit(pyctr: Pyctr) -> None:
    script = "while :; do echo x; done & usleep 50000; exit 4"
    command = pyctr.command("run", "--rm", "--pid", "host", "busybox", "sh", "-c", script)
    assert subprocess.run(command, stdout=subprocess.DEVNULL, timeout=20).returncode == 4


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_descriptors_do_no_harm(pyctr: Pyctr, closed: str) -> None:
    quoted = " ".join(f"'{arg}'" for arg in pyctr.command("run", "--rm", "busybox", "sh", "-c", "echo hi; exit 6"))
    done = subprocess.run(["sh", "-c", f"{quoted} {closed}"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 6
    assert done.stdout == ("" if ">&-" in closed.replace("2>&-", "") else "hi\n")


def test_a_closed_pipe_ends_the_client_without_a_traceback(pyctr: Pyctr) -> None:
    quoted = " ".join(f"'{arg}'" for arg in pyctr.command("run", "--name", "yes", "busybox", "yes"))
    done = subprocess.run(["sh", "-c", f"{quoted} | head -1"], capture_output=True, text=True, timeout=20)
    assert (done.stdout, done.stderr) == ("y\n", "")
    pyctr("rm", "-f", "yes", check=True)


def test_run_d_prints_the_id_and_returns(pyctr: Pyctr) -> None:
    done = pyctr("run", "-d", "busybox", "sh", "-c", "echo hi; exit 3")
    assert (done.returncode, len(done.stdout), done.stderr) == (0, 65, "")
    assert pyctr("wait", done.stdout.strip()).stdout == "3\n"
    assert pyctr("logs", done.stdout.strip()).stdout == "hi\n"


def test_the_monitor_holds_nothing_of_its_starter_and_stays_small(pyctr: Pyctr, tmp_path: Path) -> None:
    script = "head -c 3000000 /dev/zero; sleep 60"
    id = pyctr("run", "-d", "busybox", "sh", "-c", script, check=True, cwd=tmp_path).stdout.strip()
    state = json.loads((pyctr.root / "containers" / id / "state.json").read_text())
    monitor = Path(f"/proc/{state['MonitorPid']}")
    held = [os.readlink(fd) for fd in (monitor / "fd").iterdir()]
    own = ("pipe:", "socket:", "anon_inode:", "/sys/fs/cgroup/", f"{pyctr.root}/containers/{id}/")
    assert [link for link in held if link != "/dev/null" and not link.startswith(own)] == []
    assert os.readlink(monitor / "cwd") == "/"
    resident = next(line for line in (monitor / "status").read_text().splitlines() if line.startswith("VmRSS"))
    assert int(resident.split()[1]) < 40_000


def test_a_terminal_needs_an_input_that_is_a_terminal(pyctr: Pyctr) -> None:
    done = pyctr("run", "--rm", "-it", "busybox", "true")
    assert (done.returncode, "the input device is not a TTY" in done.stderr) == (1, True)
    assert pyctr("ps", "-aq").stdout == ""
    assert pyctr("run", "--rm", "-t", "busybox", "true").returncode == 0


def test_attach_selects_the_streams(pyctr: Pyctr) -> None:
    both = ["busybox", "sh", "-c", "echo out; echo err >&2; exit 3"]
    done = pyctr("run", "-a", "stdout", *both)
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "", 3)
    done = pyctr("run", "-a", "STDERR", *both)
    assert (done.stdout, done.stderr, done.returncode) == ("", "err\n", 3)
    done = pyctr("run", "-i", "-a", "stdin", "-a", "stdout", "busybox", "cat", input="given")
    assert done.stdout == "given"


def test_attach_of_the_input_alone_prints_the_id_and_ends_with_the_input(pyctr: Pyctr) -> None:
    done = pyctr("run", "-i", "-a", "stdin", "--name", "box", "busybox", "cat", input="given")
    assert done.stdout == pyctr("inspect", "-f", "{{.Id}}", "box").stdout
    assert (done.returncode, pyctr("wait", "box").stdout, pyctr("logs", "box").stdout) == (0, "0\n", "given")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["-a", "all"], "valid streams are STDIN, STDOUT and STDERR"),
        (["-d", "-a", "stdin"], "Conflicting options: -a and -d"),
    ],
)
def test_wrong_streams_are_refused(pyctr: Pyctr, flags: list[str], message: str) -> None:
    done = pyctr("run", *flags, "busybox", "true")
    assert (done.returncode, message in done.stderr, pyctr("ps", "-aq").stdout) == (125, True, "")
