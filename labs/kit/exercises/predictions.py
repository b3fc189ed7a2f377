"""Answers to the questions before a cell: kept until the cell has run, then compared. Nobody has to give one."""

from __future__ import annotations

import tomllib
from pathlib import Path

from labs.kit.exercises import manifest

NONE = "No prediction: type a letter between the quotes if you like, and run this cell again."


def right_answers(path: Path = manifest.LABS / "predictions.toml") -> dict[str, str]:
    """Return the letter of the right answer to each question."""
    with path.open("rb") as file:
        return {name: letter for chapter in tomllib.load(file).values() for name, letter in chapter.items()}


class Predictions:
    """The answers given in one run of a notebook. The first answer that meets its result counts."""

    def __init__(self) -> None:
        self.right = right_answers()
        self.judged: dict[str, bool] = {}
        self.waiting: tuple[str, str, dict[str, str]] | None = None

    def give(self, answer: str, name: str, choices: dict[str, str]) -> str:
        """Keep an answer until its result is there; return what to show now."""
        answer = answer.strip().strip("()").lower()
        self.waiting = None
        if not answer:
            return NONE
        if answer not in choices:
            return f"{answer!r} is not one of {', '.join(choices)}: type a letter between the quotes."
        self.waiting = (answer, name, choices)
        return f"Your prediction: {answer}) {choices[answer]}. Now run the next cell."

    def meet(self) -> str:
        """Judge the answer that waits, now that its result is there; return both, or "" if none waits."""
        if self.waiting is None:
            return ""
        (answer, name, choices), self.waiting = self.waiting, None
        right = self.right[name]
        self.judged.setdefault(name, answer == right)
        if answer == right:
            return f"Your prediction: {answer}) {choices[answer]}. Right."
        return f"Your prediction: {answer}) {choices[answer]}. The cell below shows: {right}) {choices[right]}."

    def summary(self) -> str:
        """Say how many predictions were right."""
        if not self.judged:
            return "You made no predictions in this chapter."
        return f"{sum(self.judged.values())} of your {len(self.judged)} predictions were right."
