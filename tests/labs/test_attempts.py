"""What scores without solving: every attempt in attempts/ scores nothing, is explained, and changes nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from labs.kit.checks import session
from labs.kit.exercises import manifest
from tests.labs.test_proofs import hint_of

ATTEMPTS = sorted((Path(__file__).parent / "attempts").glob("*.py"))


def status() -> str:
    command = ["git", "-C", str(manifest.CHECKOUT), "status", "--porcelain", "--ignored=no"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda path: path.stem)
def test_an_attempt_scores_nothing_is_explained_and_changes_nothing(labs: Path, attempt: Path) -> None:
    """A file `1.1_what_it_does.py` is a whole file of a learner's; `HINT` is part of what they are shown."""
    exercise = manifest.find(attempt.stem.partition("_")[0])
    shutil.copy(attempt, labs / exercise.place)
    before = status()
    [result] = session.check([exercise], labs).results
    assert (result.points, result.state != "passed") == (0, True)
    assert hint_of(attempt) in " ".join(result.message.split())
    assert status() == before


@pytest.mark.parametrize("words", [("yours",), ("check", "1.1"), ("hint", "1.1")])
def test_no_command_runs_a_learner_s_file_itself(labs: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    """What the file does as soon as it is run reaches nothing outside of the arena."""
    path = labs / manifest.find("1.1").place
    trace = tmp_path / "it-ran"
    text = path.read_text().replace('raise Todo("1.1")', "return 0")
    path.write_text(f"{text}\n\nopen({str(trace)!r}, 'w').close()\nos._exit(0)\n")
    command = [sys.executable, "-m", "labs.kit", "--labs", str(labs), *words]
    done = subprocess.run(command, cwd=manifest.CHECKOUT, capture_output=True, text=True)
    assert done.returncode == (1 if words[0] == "check" else 0)
    assert not trace.exists()
