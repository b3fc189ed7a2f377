"""What scores without solving: every attempt in attempts/ scores nothing, is explained, and changes nothing."""

from __future__ import annotations

import shutil
import subprocess
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
