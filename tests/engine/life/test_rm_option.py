"""Containers of `--rm`: when they are removed, and that no time is spent on the safety of their files."""

from __future__ import annotations

import subprocess

import pytest

from tests.conftest import Pyctr

OPTIONS = [[], ["--userns", "auto"]]
IS_VOLATILE = "grep '^overlay / ' /proc/mounts | grep -c volatile"


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_only_the_root_of_a_container_that_is_going_to_be_removed_is_volatile(
    pyctr: Pyctr, options: list[str]
) -> None:
    assert pyctr("run", *options, "--rm", "busybox", "sh", "-c", IS_VOLATILE).stdout == "1\n"
    assert pyctr("run", *options, "busybox", "sh", "-c", IS_VOLATILE).stdout == "0\n"


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_restart_keeps_a_container_and_its_files_and_the_next_end_removes_it(
    pyctr: Pyctr, options: list[str]
) -> None:
    script = "echo life >> /lives; exec sleep 1000"
    pyctr("run", "-d", *options, "--rm", "--name", "one", "busybox", "sh", "-c", script, check=True)
    pyctr("run", "-d", "--rm", "--name", "two", "busybox", "sleep", "1000", check=True)
    for lives in (2, 3):
        assert pyctr("restart", "-t", "0", "one", "two", check=True).stdout == "one\ntwo\n"
        pyctr("exec", "one", "sh", "-c", f"until [ $(wc -l < /lives) = {lives} ]; do :; done", check=True)
        assert pyctr("inspect", "-f", "{{.HostConfig.AutoRemove}}", "one", check=True).stdout == "true\n"
    pyctr("stop", "-t", "0", "one", "two", check=True)
    assert pyctr("ps", "-aq").stdout == ""


def test_a_restart_that_is_killed_does_not_keep_a_container(pyctr: Pyctr) -> None:
    pyctr("run", "-d", "--rm", "--name", "one", "busybox", "sleep", "1000", check=True)
    with subprocess.Popen(pyctr.command("restart", "-t", "-1", "one"), stdout=subprocess.DEVNULL) as restart:
        while "kill" not in pyctr("events", "--since", "0", "--until", "1s", "--filter", "container=one").stdout:
            pass
        restart.kill()
    pyctr("kill", "one", check=True)
    assert pyctr("ps", "-aq").stdout == ""


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_container_that_cannot_be_started_is_removed(pyctr: Pyctr, options: list[str]) -> None:
    pyctr("create", *options, "--rm", "--name", "one", "busybox", "no-such-program", check=True)
    failed = pyctr("start", "one")
    assert failed.returncode == 1
    assert "executable file not found" in failed.stderr
    assert pyctr("ps", "-aq").stdout == ""


def test_a_start_that_is_refused_removes_nothing(pyctr: Pyctr) -> None:
    pyctr("run", "-d", "--rm", "--name", "one", "busybox", "sleep", "1000", check=True)
    pyctr("pause", "one", check=True)
    assert "cannot start a paused container" in pyctr("start", "one").stderr
    pyctr("unpause", "one", check=True)
    assert pyctr("start", "one", check=True).stdout == "one\n"
    assert pyctr("ps", "-q").stdout != ""
    pyctr("rm", "-f", "one", check=True)
