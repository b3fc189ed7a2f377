"""Errors of `run` and `exec` about impossible values: one line, the right exit code, nothing left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Pyctr

LONG = "a" * 100_000


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["-e", "=x"], "invalid environment variable: =x"),
        (["-l", "=x"], "invalid label '=x': empty name"),
        (["-l", "a b=x"], "label 'a b=x' contains whitespaces"),
        (["--cpus", "-1"], "Range of CPUs is from 0.01 to "),
        (["--cpus", "0.009"], "Range of CPUs is from 0.01 to "),
        (["--cpus", "100000"], "Range of CPUs is from 0.01 to "),
        (["--pid", "container:"], "invalid pid mode: container:"),
        (["--network", "container:"], "invalid network mode: container:"),
        (["--name", LONG], "Invalid container name (aaaaaaaaaaaaaaaaaaaa…), it is longer than 255 characters"),
        (["--tmpfs", "/t:size=much"], 'invalid tmpfs option "size=much"'),
        (["--tmpfs", "/t:mode=999"], 'invalid tmpfs option "mode=999"'),
        (["--tmpfs", "/t:uid="], 'invalid tmpfs option "uid="'),
        (["-v", "/etc:/etc/hostname"], "cannot mount a directory on a file, or below one: /etc/hostname"),
        (["-v", "/etc:/etc/passwd/below"], "cannot mount a directory on a file, or below one: /etc/passwd/below"),
        (["-v", "/etc/hostname:/etc"], "cannot mount a file on a directory: /etc"),
        (["-v", f"/etc:/{LONG}"], "openat2: File name too long: /aaaa"),
        (["-w", f"/{LONG}"], "working directory /aaaa"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_an_impossible_value_is_reported_in_one_line(pyctr: Pyctr, flags: list[str], text: str) -> None:
    done = pyctr("run", *flags, "busybox", "true")
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.startswith(f"pyctr_lite: {text}")
    assert done.stderr.count("\n") <= 2  # the error and a hint
    assert "call.py" not in done.stderr
    for id in pyctr("ps", "-aq", check=True).stdout.split():  # as in Docker: created, but not started
        assert pyctr("inspect", "-f", "{{.State.Status}}", id, check=True).stdout == "created\n"


@pytest.mark.parametrize(
    ("program", "code", "text"),
    [
        ("", 127, 'exec: "": executable file not found in $PATH'),
        (LONG, 127, f'exec: "{LONG}": executable file not found in $PATH'),
        (f"/{LONG}", 127, f'exec: "/{LONG}": stat /{LONG}: file name too long'),
    ],
    ids=["empty", "long", "long path"],
)
def test_a_programs_name_may_be_empty_or_longer_than_a_packet(
    pyctr: Pyctr, program: str, code: int, text: str
) -> None:
    done = pyctr("run", "--rm", "busybox", program)
    assert (done.returncode, done.stderr.splitlines()[0]) == (code, f"pyctr_lite: {text}")
    pyctr("run", "-d", "--name", "box", "busybox", "sleep", "1000", check=True)
    done = pyctr("exec", "box", program)
    assert (done.returncode, done.stderr.splitlines()[0]) == (code, f"pyctr_lite: {text}")


def test_exec_refuses_a_variable_without_a_name(pyctr: Pyctr) -> None:
    pyctr("run", "-d", "--name", "box", "busybox", "sleep", "1000", check=True)
    done = pyctr("exec", "-e", "=x", "box", "env")
    assert (done.returncode, done.stdout) == (126, "")
    assert done.stderr.startswith("pyctr_lite: invalid environment variable: =x\n")


def test_a_label_need_not_be_utf_8(pyctr: Pyctr) -> None:
    pyctr("run", "--name", "box", "-l", "name=\udcff", "busybox", "true", check=True)
    assert pyctr("inspect", "-f", "{{.Config.Labels.name}}", "box", check=True).stdout == "\udcff\n"
    assert '"create"' in pyctr("events", "--since", "1h", "--until", "0s", "--format", "json", check=True).stdout


def test_the_source_of_an_error_is_printed_only_with_debug(pyctr: Pyctr) -> None:
    args = ["run", "--rm", "--sysctl", "net.core.somaxconn=junk", "busybox", "true"]
    usual, debug = pyctr(*args), pyctr("--debug", *args)
    assert usual.returncode == 125
    assert ".py" not in usual.stderr
    assert "\nat " in debug.stderr


@pytest.mark.parametrize("flag", ["-D", "--debug", "--help", "--version", "--labs", "--explain"])
def test_a_flag_of_the_program_in_the_container_is_not_the_engines(pyctr: Pyctr, flag: str) -> None:
    done = pyctr("run", "--pull", "never", "nosuch", "sshd", flag)
    assert (done.returncode, done.stderr.splitlines()[0]) == (125, "pyctr_lite: No such image: nosuch:latest")
    done = pyctr("exec", "nobody", "sshd", flag)
    assert (done.returncode, done.stderr.splitlines()[0]) == (1, "pyctr_lite: No such container: nobody")


def test_options_that_exclude_each_other_are_refused_as_in_docker(pyctr: Pyctr) -> None:
    done = pyctr("run", "--rm", "--uts", "host", "-h", "x", "busybox", "true")
    assert (done.returncode, "conflicting options: hostname and the UTS mode" in done.stderr) == (125, True)
    done = pyctr("run", "--rm", "--memory-reservation", "5m", "busybox", "true")
    assert (done.returncode, "Minimum memory reservation allowed is 6MB" in done.stderr) == (125, True)
    pyctr("create", "--name", "box", "--cpuset-cpus", "0", "busybox", "true", check=True)
    pyctr("update", "--cpuset-cpus", "", "box", check=True)
    assert pyctr("inspect", "-f", "{{.HostConfig.CpusetCpus}}", "box").stdout == "0\n"
    assert pyctr("update", "--memory-reservation", "5m", "box").returncode == 1


def test_etc_mtab_is_a_link_unless_the_image_has_one(pyctr: Pyctr) -> None:
    shown = pyctr("run", "--name", "box", "busybox", "sh", "-c", "readlink /etc/mtab; df / >/dev/null", check=True)
    assert (shown.stdout, shown.stderr) == ("/proc/mounts\n", "")
    assert "/etc/mtab" not in pyctr("diff", "box", check=True).stdout
    pyctr("run", "--name", "own", "busybox", "sh", "-c", "rm /etc/mtab; ln -s /nowhere /etc/mtab", check=True)
    pyctr("commit", "own", "own", check=True)
    assert pyctr("run", "--rm", "own", "readlink", "/etc/mtab", check=True).stdout == "/nowhere\n"
