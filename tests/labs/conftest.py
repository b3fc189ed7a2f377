"""Labs directories as learners have them: starters, and one or all exercises solved."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labs.kit.capstone import program
from labs.kit.commands.solution import of_file
from labs.kit.exercises import manifest

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
