"""The exercises: labs.toml as values. Score table, hints, progress and reset all derive from it."""

from __future__ import annotations

import functools
import importlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[3]
LABS = CHECKOUT / "labs"
"""The labs of this checkout: handouts, checks and the learner's own files."""
STARTERS = LABS / "starters"
"""The files as they were when nothing was written."""


class NoSuchExercise(LookupError):
    """An id or a number that is not in the manifest: one line, with what there is."""


@dataclass(frozen=True)
class Exercise:
    """One function to write. `function` is "package.module:name" or "package.module:Class.method"."""

    id: str
    title: str
    lab: str
    function: str
    file: str
    points: int
    needs: tuple[str, ...]
    hints: tuple[str, ...]
    pure: bool = False
    """Whether it only returns a value: the same arguments give the same, and nothing else changes."""

    @property
    def name(self) -> str:
        """The function's name as the learner's file has it."""
        return self.function.rpartition(":")[2].rpartition(".")[2]

    @property
    def place(self) -> str:
        """The learner's file, below the labs' directory."""
        return f"{self.lab}/{self.file}"

    def owner(self) -> Any:
        """Return the object that has the function as an attribute: the engine's module, or a class of it."""
        return owner_of(self.function)


def owner_of(function: str) -> Any:
    """Return the engine's module or class that has a function, "package.module:name", as an attribute."""
    module, _, path = function.partition(":")
    owner: Any = importlib.import_module(module)
    for part in path.split(".")[:-1]:
        owner = getattr(owner, part)
    return owner


@dataclass(frozen=True)
class Lab:
    """A lab: the exercises of a chapter. `notebook` is the chapter's, below notebooks/."""

    number: int
    name: str
    title: str
    notebook: str
    exercises: tuple[Exercise, ...]

    @property
    def points(self) -> int:
        """The points of all exercises together."""
        return sum(exercise.points for exercise in self.exercises)


def load() -> list[Lab]:
    """All labs, in order."""
    return list(_labs())


@functools.cache
def _labs() -> tuple[Lab, ...]:
    """Read the file once: every process of a learner's function asks for its exercise."""
    with (LABS / "labs.toml").open("rb") as file:
        return tuple(_lab(table) for table in tomllib.load(file)["lab"])


def capstone_hints(path: Path = LABS / "labs.toml") -> tuple[str, ...]:
    """The hints of the capstone, in order."""
    with path.open("rb") as file:
        return tuple(tomllib.load(file)["capstone"]["hints"])


def exercises(labs: list[Lab] | None = None) -> list[Exercise]:
    """All exercises of all labs, in order."""
    return [exercise for lab in labs or load() for exercise in lab.exercises]


def find(id: str) -> Exercise:
    """The exercise of an id. Fails with NoSuchExercise."""
    labs = load()
    for exercise in exercises(labs):
        if exercise.id == id:
            return exercise
    for lab in labs:
        if id == str(lab.number):
            raise NoSuchExercise(f"{id} is a lab: make lab{id} checks it. Its exercises are {_range(lab)}")
    raise NoSuchExercise(f"there is no exercise {id}: they are {', '.join(map(_range, labs))}")


def find_lab(number: str | int) -> Lab:
    """The lab of a number. Fails with NoSuchExercise."""
    labs = load()
    for lab in labs:
        if str(number) == str(lab.number):
            return lab
    if any(exercise.id == number for exercise in exercises(labs)):
        raise NoSuchExercise(f"{number} is an exercise: make check EX={number}. The labs are 1 to {len(labs)}")
    raise NoSuchExercise(f"there is no lab {number}: they are 1 to {len(labs)}")


def _range(lab: Lab) -> str:
    return f"{lab.exercises[0].id} to {lab.exercises[-1].id}"


def _lab(table: dict[str, Any]) -> Lab:
    return Lab(
        table["number"],
        table["name"],
        table["title"],
        table["notebook"],
        tuple(
            Exercise(
                item["id"],
                item["title"],
                table["name"],
                item["function"],
                item["file"],
                item["points"],
                tuple(item.get("needs", ())),
                tuple(item["hints"]),
                item.get("pure", False),
            )
            for item in table["exercise"]
        ),
    )
