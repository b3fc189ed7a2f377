"""Labs directories as learners have them: starters, and one or all exercises solved."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labs.kit.capstone import program
from labs.kit.exercises import manifest
from labs.kit.exercises.source import of_file

if TYPE_CHECKING:
    from collections.abc import Callable

SOLVED = Path(__file__).parent / "solved"
"""Every exercise as a learner would write it, with no more than handout and starter."""


@pytest.fixture
def labs(tmp_path: Path) -> Path:
    """A labs directory with the untouched starters."""
    directory = tmp_path / "labs"
    for exercise in manifest.exercises():
        (directory / exercise.place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(manifest.STARTERS / exercise.place, directory / exercise.place)
    (directory / program.FILE).parent.mkdir()
    shutil.copy(manifest.STARTERS / program.FILE, directory / program.FILE)
    return directory


@pytest.fixture
def solve(labs: Path) -> Callable[..., None]:
    """`solve(exercise)` puts its solved function into the starter; `solve(exercise, text)` another one."""

    def put(exercise: manifest.Exercise, text: str = "") -> None:
        path = labs / exercise.place
        starter = of_file(path, exercise.name)
        assert starter, f"{exercise.place} has no {exercise.name}"
        solved = text or of_file(SOLVED / exercise.place, exercise.name)
        assert solved, f"tests/labs/solved/{exercise.place} has no {exercise.name}"
        path.write_text(path.read_text().replace(starter, solved))

    return put


@pytest.fixture
def kit(labs: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`kit("lab", "5")` on the test's own labs."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "labs.kit", "--labs", str(labs), *words]
        return subprocess.run(
            command, cwd=manifest.CHECKOUT, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )

    return run
