"""A checkout that can only be read: what can be done is done, what cannot is one clear line. Nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from labs.kit.exercises import manifest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MOUNT = 'for place; do mount --rbind "$place" "$place"; mount -o remount,ro,bind "$place"; done'
READ_ONLY = ["unshare", "--mount", "--propagation", "private", "sh", "-ec"]


@pytest.fixture
def kit(labs: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`kit("lab", "5")` where neither the checkout nor the learner's labs can be written to."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = f'{MOUNT}; cd "$1"; exec "$PYTHON" -m labs.kit --labs "$2" $WORDS'
        return subprocess.run(
            [*READ_ONLY, command, "sh", manifest.CHECKOUT, labs],
            env={**os.environ, "PYTHON": sys.executable, "WORDS": " ".join(words)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    return run


def everything(labs: Path) -> dict[str, bytes]:
    return {str(path.relative_to(labs)): path.read_bytes() for path in labs.rglob("*") if path.is_file()}


def test_a_hint_is_given_and_it_is_said_that_it_is_not_remembered(
    kit: Callable[..., subprocess.CompletedProcess[str]], labs: Path
) -> None:
    for _ in range(2):
        done = kit("hint", "5.1")
        assert (done.returncode, done.stderr) == (0, "")
        assert "  1. " in done.stdout
        last = done.stdout.splitlines()[-1]
        assert last.startswith(f"{labs}/.progress.json cannot be written (Read-only file system)")


def test_reset_changes_nothing_and_says_why(
    kit: Callable[..., subprocess.CompletedProcess[str]], labs: Path, solve: Callable[..., None]
) -> None:
    solve(manifest.find("5.1"))
    before = everything(labs)
    done = kit("reset", "5")
    assert (done.returncode, done.stdout) == (2, "")
    told, hint = done.stderr.splitlines()
    assert told.startswith(f"{labs}/backups")
    assert told.endswith(": Read-only file system")
    assert "use a copy of this checkout" in hint
    assert everything(labs) == before


@pytest.mark.timeout(300)
def test_grade_shows_its_table_and_says_that_the_file_is_not_written(
    kit: Callable[..., subprocess.CompletedProcess[str]],
    labs: Path,
    solve: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRUSTED", "1")
    solve(manifest.find("5.1"))
    done = kit("grade", "--work", str(labs), "--output", str(labs / "grade.json"))
    assert done.returncode == 2
    assert "15 of 700 points." in done.stdout
    assert "Written" not in done.stdout
    assert done.stderr.splitlines()[0] == f"{labs}/grade.json: Read-only file system"


@pytest.mark.timeout(300)
def test_whatever_only_reads_works(
    kit: Callable[..., subprocess.CompletedProcess[str]], solve: Callable[..., None]
) -> None:
    for exercise in manifest.find_lab(5).exercises:
        solve(exercise)
    for words, shown in (
        (("check", "5.1"), "passed, 15/15 points"),
        (("lab", "5"), "Lab 5 is complete."),
        (("trace", "5.3"), "yours"),
        (("mine",), "functions on the way of this run are yours"),
        (("solution", "5.1"), "the engine's"),
        (("yours",), "functions of the engine are yours"),
    ):
        done = kit(*words)
        assert (done.returncode, done.stderr) == (0, ""), words
        assert shown in done.stdout


@pytest.mark.timeout(300)
def test_jupyterlab_starts() -> None:
    script = f'{MOUNT}; cd "$1"; exec "$PYTHON" -IXutf8 make/notebook.py 0 "" 2>&1'
    jupyter = subprocess.Popen(
        [*READ_ONLY, script, "sh", manifest.CHECKOUT],
        env={**os.environ, "PYTHON": sys.executable},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert jupyter.stdout is not None
    shown = []
    try:
        for line in jupyter.stdout:
            shown.append(line)
            if "JupyterLab: http://127.0.0.1:" in line:
                break
    finally:
        jupyter.terminate()
        shown.append(jupyter.communicate()[0])
    assert "JupyterLab: http://127.0.0.1:" in "".join(shown)
    assert "Read-only" not in "".join(shown)
