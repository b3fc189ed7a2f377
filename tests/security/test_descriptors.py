"""No descriptor of the host reaches a container without a request: neither the caller's files nor a device."""

from __future__ import annotations

import os
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Pyctr

LIST = "for n in 0 1 2; do readlink /proc/self/fd/$n | sed 's/[0-9]//g'; done"


@pytest.fixture
def box(pyctr: Pyctr) -> str:
    pyctr("run", "-d", "--name", "box", "busybox", "sleep", "120", check=True)
    return "box"


@pytest.fixture
def null_stays() -> Iterator[None]:
    """Restore the mode of the host's null device after the test."""
    before = os.stat("/dev/null")
    try:
        yield
        now = os.stat("/dev/null")
        assert (now.st_mode, now.st_uid, now.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    finally:
        os.chmod("/dev/null", stat.S_IMODE(before.st_mode))
        os.chown("/dev/null", before.st_uid, before.st_gid)


@pytest.mark.parametrize("user", ["0", "1000"])
def test_the_callers_files_cannot_be_reopened_inside(pyctr: Pyctr, box: str, tmp_path: Path, user: str) -> None:
    """`exec -i … < input`, `>> log`, `2>> log`: by /proc/self/fd these files could be written to, or truncated."""
    files = [tmp_path / name for name in ("input", "log", "errors")]
    for file in files:
        file.write_text("as before\n")
        file.chmod(0o666)
    script = (
        "for n in 0 1 2; do (echo attacked >/proc/self/fd/$n) 2>/dev/null; (: >/proc/self/fd/$n) 2>/dev/null; "
        "chmod 777 /proc/self/fd/$n 2>/dev/null; chown 1000 /proc/self/fd/$n 2>/dev/null; done; exit 0"
    )
    for args in (["exec", "-u", user, "-i", box], ["run", "-u", user, "-i", "--rm", "busybox"]):
        with files[0].open() as stdin, files[1].open("a") as stdout, files[2].open("a") as stderr:
            command = pyctr.command(*args, "sh", "-c", script)
            done = subprocess.run(command, stdin=stdin, stdout=stdout, stderr=stderr, timeout=60)
        assert done.returncode == 0, files[2].read_text()
    for file in files:
        assert file.read_text().startswith("as before\n")
        assert (stat.S_IMODE(file.stat().st_mode), file.stat().st_uid) == (0o666, 0)
    assert files[0].read_text() == "as before\n"


def test_a_process_inside_has_pipes_and_the_containers_own_null_device(pyctr: Pyctr, box: str) -> None:
    for args in (["exec", box], ["run", "--rm", "busybox"]):
        assert pyctr(*args, "sh", "-c", LIST).stdout == "/dev/null\npipe:[]\npipe:[]\n"
    for args in (["exec", "-i", box], ["run", "-i", "--rm", "busybox"]):
        assert pyctr(*args, "sh", "-c", LIST).stdout == "pipe:[]\npipe:[]\npipe:[]\n"
    pyctr("exec", "-d", box, "sh", "-c", f"({LIST}) >/list.new; mv /list.new /list", check=True)
    found = pyctr("exec", box, "sh", "-c", "until [ -e /list ]; do sleep 0.1; done; cat /list")
    assert found.stdout.splitlines()[0] == "/dev/null"


@pytest.mark.usefixtures("null_stays")
@pytest.mark.parametrize("args", [["run", "--rm"], ["run", "--rm", "--privileged"], ["exec"], ["exec", "-d"]])
def test_the_hosts_null_device_cannot_be_changed(pyctr: Pyctr, box: str, args: list[str]) -> None:
    attack = "for n in 0 1 2; do chmod 0 /proc/self/fd/$n; chown 7:7 /proc/self/fd/$n; done 2>/dev/null; true"
    target = "busybox" if "run" in args else box
    assert pyctr(*args, target, "sh", "-c", attack).returncode == 0
    if "-d" in args:
        pyctr("stop", "-t", "0", box, check=True)


@pytest.mark.usefixtures("null_stays")
def test_a_health_check_has_no_device_of_the_host(pyctr: Pyctr) -> None:
    look = "chmod 0 /proc/self/fd/0; chown 7 /proc/self/fd/0; echo done >>/looks"
    flags = ("--health-cmd", look, "--health-interval", "50ms")
    pyctr("run", "-d", "--name", "box", *flags, "busybox", "sleep", "60", check=True)
    pyctr("exec", "box", "sh", "-c", "until [ -e /looks ]; do sleep 0.1; done", check=True)


@pytest.mark.parametrize(
    "instead", ["rm /dev/null", "mkfifo /null", "mknod /null c 1 5", "ln -s /etc/passwd /null"]
)
def test_a_false_null_device_gives_an_empty_stdin(pyctr: Pyctr, box: str, instead: str) -> None:
    move = "" if "rm" in instead else "; mv /null /dev/null"
    pyctr("exec", "box", "sh", "-c", instead + move, check=True)
    done = pyctr("exec", box, "sh", "-c", "cat; readlink /proc/self/fd/0 | sed 's/[0-9]//g'", timeout=20)
    assert (done.returncode, done.stdout) == (0, "pipe:[]\n")


def test_a_killed_exec_holds_no_descriptor_of_its_caller(pyctr: Pyctr, box: str) -> None:
    """`timeout -s KILL 2 pyctr_lite exec c sleep 12 | cat` ends with the command; the process inside goes on."""
    began = time.monotonic()
    command = ["timeout", "-s", "KILL", "3", *pyctr.command("exec", box, "sleep", "77")]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert done.stdout == b""
    assert time.monotonic() - began < 30
    assert "sleep 77" in pyctr("exec", box, "ps").stdout
    pyctr("exec", box, "pkill", "-f", "sleep 77")


@pytest.mark.parametrize(
    ("redirection", "output"),
    [("<&-", ""), ("</dev/null", ""), ("</dev/zero", "\0" * 3), ("<<<x", "x\n")],
)
def test_exec_accepts_any_kind_of_stdin(pyctr: Pyctr, box: str, redirection: str, output: str) -> None:
    for args in (["exec", "-i", box], ["run", "-i", "--rm", "busybox"]):
        command = ["bash", "-c", f'"$@" {redirection}', "sh", *pyctr.command(*args, "head", "-c", "3")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert (done.stdout, done.returncode) == (output, 0), done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"])
def test_closed_descriptors_of_the_caller_stay_closed_inside(pyctr: Pyctr, box: str, closed: str) -> None:
    for args in (["exec", "-i", box], ["run", "-i", "--rm", "busybox"]):
        command = ["bash", "-c", f'"$@" {closed}', "sh", *pyctr.command(*args, "sh", "-c", "cat; echo x; exit 5")]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
        assert done.returncode == 5, done.stderr


SCRIPT, ATTACK = "#!/bin/sh\\necho shell\\n", "#!/proc/self/exe\\nprint(1)\\n"


@pytest.mark.parametrize(
    "flip",
    [
        f"printf '{SCRIPT}' >a; printf '{ATTACK}' >b; chmod 755 a b; while :; do cp -p a p; cp -p b p; done",
        f"printf '{SCRIPT}' >a; printf '{ATTACK}' >b; chmod 755 a b; "
        "while :; do ln -f a x; mv x p; ln -f b x; mv x p; done",
        "cp /bin/busybox a; ln -s /proc/self/exe b; while :; do cp -p a x; mv x p; cp -P b x; mv x p; done",
        f"printf '#!/shared/q\\n' >p; cp /bin/busybox a; printf '{ATTACK}' >b; chmod 755 p a b; "
        "while :; do cp -p a x; mv x q; cp -p b x; mv x q; done",
    ],
)
def test_a_swapped_program_never_becomes_the_hosts_interpreter(pyctr: Pyctr, flip: str) -> None:
    """A container swaps a program on a shared volume between a script and /proc/self/exe, the host's Python."""
    pyctr(
        *("run", "-d", "--name", "flipper", "-v", "shared:/shared", "-w", "/shared"),
        *("busybox", "sh", "-c", flip),
        check=True,
    )
    pyctr("run", "-d", "--name", "box", "-v", "shared:/shared", "busybox", "sleep", "100", check=True)
    rounds = int(os.environ.get("PYCTR_RACE_ROUNDS", "20"))
    for number in range(rounds):
        args = ("exec", "box") if number % 2 else ("run", "--rm", "-v", "shared:/shared", "busybox")
        done = pyctr(*args, "/shared/p", "true")
        assert "ython" not in done.stdout + done.stderr, (number, done)
    pyctr("rm", "-f", "flipper", check=True)
