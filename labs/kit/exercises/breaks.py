"""Faults to find: breaks.toml as values. Each is a known mistake, how to see it, and four names for it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labs.kit.exercises import manifest
from pyctr_lite.cgroups import hierarchy

LETTERS = "abcd"


@dataclass(frozen=True)
class Break:
    """A faulty function: `mistake` is its file, `script` shows the symptom, `right` is the letter of its fault."""

    exercise: manifest.Exercise
    mistake: Path
    script: str
    question: str
    choices: tuple[str, ...]
    right: str
    explanation: str
    cgroup: int | None
    """The version of the only cgroup controllers with which the fault shows, or None."""

    @property
    def shows_here(self) -> bool:
        """Whether the fault shows on this machine."""
        mount = hierarchy.detect().of("pids")
        return self.cgroup is None or (mount is not None and mount.version == self.cgroup)


def load(path: Path = manifest.LABS / "breaks.toml") -> dict[str, Break]:
    """Return all faults by the id of their exercise, in order."""
    with path.open("rb") as file:
        return {item["exercise"]: _break(item) for item in tomllib.load(file)["break"]}


def here() -> dict[str, Break]:
    """Return the faults that show on this machine."""
    return {id: each for id, each in load().items() if each.shows_here}


def find(id: str) -> Break:
    """Return the fault of an exercise. Raises NoSuchExercise, also if it has none that shows on this machine."""
    manifest.find(id)
    found = here()
    if id not in found:
        raise manifest.NoSuchExercise(f"there is no fault to find for {id}: there is one for {', '.join(found)}")
    return found[id]


def named(answers: dict[str, Any]) -> list[str]:
    """Return the ids whose fault was named, of the letters that were answered for each ("ba")."""
    return [id for id, each in load().items() if isinstance(answers.get(id), str) and each.right in answers[id]]


def _break(item: dict[str, Any]) -> Break:
    exercise = manifest.find(item["exercise"])
    return Break(
        exercise,
        manifest.LABS / exercise.lab / "mistakes" / f"{exercise.id}_{item['mistake']}.py",
        item["script"].strip(),
        item["question"],
        tuple(item["choices"]),
        item["right"],
        item["explanation"],
        item.get("cgroup"),
    )
