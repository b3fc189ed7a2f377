"""The table: how many mutants of each exercise died, and which did not."""

from __future__ import annotations

from dataclasses import dataclass, field

from labs.kit.exercises import manifest
from tests.labs.mutants import equivalents
from tests.labs.mutants.equivalents import Equivalent
from tests.labs.mutants.mutant import Mutant
from tests.labs.mutants.run import Outcome

THRESHOLD = 95
"""How many of 100 mutants have to die."""
HEADER = f"{'exercise':<9}{'mutants':>8}{'killed':>8}{'equivalent':>12}{'survived':>10}{'score':>8}"


@dataclass
class Score:
    """What came of one exercise's mutants; `entries` are the exercise's known equivalents."""

    exercise: manifest.Exercise
    entries: list[Equivalent]
    killed: int = 0
    survivors: list[Mutant] = field(default_factory=list)
    equivalent: int = 0
    refused: list[tuple[Mutant, Outcome]] = field(default_factory=list)
    """Listed as equivalent, and killed nevertheless: either it is not, or the checks refuse a right answer."""

    wrong: str = ""

    def add(self, mutant: Mutant, outcome: Outcome) -> None:
        """Count a mutant that was checked."""
        if not mutant.operator:
            if outcome.killed:
                self.wrong = (
                    f"{self.exercise.id}: the {mutant.base} function fails {outcome.check}: {outcome.message}"
                )
        elif any(entry.names(mutant) for entry in self.entries):
            self.equivalent += 1
            if outcome.killed:
                self.refused.append((mutant, outcome))
        elif outcome.killed:
            self.killed += 1
        else:
            self.survivors.append(mutant)

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many were killed, are equivalent, have survived."""
        return self.killed, self.equivalent, len(self.survivors)

    @property
    def line(self) -> str:
        """The exercise's line of the table."""
        return _line(self.exercise.id, *self.counts)

    @property
    def problems(self) -> list[str]:
        """Why the exercise is not good enough."""
        return [*self.errors, *too_low(self.exercise.id, [self])]

    @property
    def errors(self) -> list[str]:
        """What is wrong apart from the percentage."""
        found = [self.wrong] if self.wrong else []
        for mutant, outcome in self.refused:
            said = outcome.message.strip().partition("\n")[0]
            found.append(
                f"{self.exercise.id}: listed as equivalent, but {outcome.check} fails ({said}):\n{mutant.diff}"
            )
        return found

    @property
    def report(self) -> str:
        """The survivors: what was done, the difference, and an entry to paste if it is equivalent."""
        return "".join(
            f"=== {self.exercise.id}: {mutant.operator}\n{mutant.diff}\n\n{equivalents.as_entry(mutant)}\n"
            for mutant in self.survivors
        )


def total(scores: list[Score]) -> str:
    """The last line of the table."""
    killed, equivalent, survived = (
        sum(column) for column in zip(*(score.counts for score in scores), strict=True)
    )
    return _line("all", killed, equivalent, survived)


def too_low(name: str, scores: list[Score]) -> list[str]:
    """A line, if too few of all these mutants die."""
    percent = _percent(sum(each.killed for each in scores), sum(len(each.survivors) for each in scores))
    return (
        [f"{name}: {percent:.1f} % of the mutants die, and {THRESHOLD} % have to"] if percent < THRESHOLD else []
    )


def _line(name: str, killed: int, equivalent: int, survived: int) -> str:
    score = f"{_percent(killed, survived):.1f} %"
    return f"{name:<9}{killed + equivalent + survived:>8}{killed:>8}{equivalent:>12}{survived:>10}{score:>8}"


def _percent(killed: int, survived: int) -> float:
    return 100 * killed / (killed + survived) if killed + survived else 100
