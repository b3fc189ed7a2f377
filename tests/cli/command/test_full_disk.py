"""Output that cannot be written: one line with Docker's text and status 1, for every verb."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from pyctr_lite.cli.command import verbs

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Pyctr

MESSAGE = "pyctr_lite: write /dev/stdout: no space left on device\n"


def to_full(pyctr: Pyctr, *args: str | Path) -> subprocess.CompletedProcess[str]:
    with open("/dev/full", "w") as full:
        return subprocess.run(
            pyctr.command(*args), stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE, text=True
        )


@pytest.mark.parametrize(
    "args",
    [
        ["images"],
        ["images", "-q"],
        ["images", "--format", "{{.ID}}"],
        ["ps", "-a"],
        ["ps", "-aq"],
        ["inspect", "box"],
        ["inspect", "-f", "{{.Id}}", "box"],
        ["history", "busybox"],
        ["image", "tree"],
        ["volume", "ls"],
        ["volume", "create", "data"],
        ["system", "df"],
        ["system", "df", "-v"],
        ["events", "--since", "1h", "--until", "0s"],
        ["diff", "box"],
        ["logs", "box"],
        ["stats", "--no-stream"],
        ["info"],
        ["version"],
        ["--version"],
        ["--help"],
        ["run", "--help"],
        [],
        ["container"],
        ["completion", "bash"],
        ["__complete", "ru"],
        ["save", "busybox"],
        ["export", "box"],
        ["cp", "box:/etc", "-"],
        ["commit", "box"],
        ["create", "busybox"],
        ["tag", "busybox"],
        ["rename", "box", "other"],
    ],
    ids=lambda args: " ".join(args) or "nothing",
)
def test_a_full_disk_under_stdout_prints_one_line(pyctr: Pyctr, args: list[str]) -> None:
    pyctr("run", "--name", "box", "busybox", "sh", "-c", "echo hello; touch /etc/new", check=True)
    done = to_full(pyctr, *args)
    if args in (["tag", "busybox"], ["rename", "box", "other"]):
        assert MESSAGE not in done.stderr, "they print nothing"
    else:
        assert (done.stderr, done.returncode) == (MESSAGE, 1)


@pytest.mark.parametrize("verb", sorted(set(verbs.VERBS) - {"__complete"}))
def test_the_help_of_every_verb_reports_a_full_disk_in_one_line(pyctr: Pyctr, verb: str) -> None:
    done = to_full(pyctr, *verb.split(), "--help")
    assert (done.stderr, done.returncode) == (MESSAGE, 1)


@pytest.mark.parametrize("args", [["inspect", "nothing"], ["rm", "nothing"], ["nothing"], ["ps", "--no-such"]])
def test_a_full_disk_under_stderr_keeps_the_status(pyctr: Pyctr, args: list[str]) -> None:
    usual = pyctr(*args).returncode
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            pyctr.command(*args), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=full
        )
        both = subprocess.run(pyctr.command(*args), stdin=subprocess.DEVNULL, stdout=full, stderr=full)
    assert done.returncode == usual
    assert both.returncode in (1, usual)


def test_a_reader_that_goes_away_is_not_an_error_of_stdout(pyctr: Pyctr) -> None:
    done = subprocess.run(
        ["sh", "-c", '"$@" | true', "sh", *pyctr.command("run", "--help")], capture_output=True, text=True
    )
    assert done.stderr == ""


def test_run_reports_a_full_disk_in_one_line(pyctr: Pyctr) -> None:
    done = to_full(pyctr, "run", "--rm", "busybox", "echo", "hello")
    assert (done.stderr, done.returncode) == (MESSAGE, 1)
    deadline = time.monotonic() + 30
    while pyctr("ps", "-aq").stdout and time.monotonic() < deadline:
        time.sleep(0.01)  # the client has failed; the monitor still removes the container
    assert pyctr("ps", "-aq").stdout == ""
