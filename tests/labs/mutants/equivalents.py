"""Mutants that do what the function does, listed by hand with the reason: equivalent.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.labs.mutants.mutant import Mutant

LIST = Path(__file__).parent / "equivalent.toml"


@dataclass(frozen=True)
class Equivalent:
    """One entry. `before` and `after` are the lines of the function that differ, without their indentation."""

    exercise: str
    before: str
    after: str
    reason: str
    nth: int = 1

    def names(self, mutant: Mutant) -> bool:
        """Whether this mutant is meant."""
        return (self.exercise, self.before, self.after, self.nth) == (
            mutant.exercise,
            mutant.before,
            mutant.after,
            mutant.nth,
        )


def load(path: Path = LIST) -> list[Equivalent]:
    """All entries. Raises ValueError for one without a reason and for one that is there twice."""
    with path.open("rb") as file:
        found = [
            Equivalent(**{key: value.strip() if isinstance(value, str) else value for key, value in item.items()})
            for item in tomllib.load(file).get("mutant", ())
        ]
    for index, entry in enumerate(found):
        if not entry.reason:
            raise ValueError(f"{path.name}: an entry of {entry.exercise} has no reason:\n{entry.before}")
        if any(entry.names(other) for other in found[:index]):
            raise ValueError(f"{path.name}: an entry of {entry.exercise} is there twice:\n{entry.before}")
    return found


def stale(entries: Iterable[Equivalent], mutants: list[Mutant]) -> list[Equivalent]:
    """Entries that name no mutant any more: the function was changed, and the reason may no longer hold."""
    return [entry for entry in entries if not any(entry.names(mutant) for mutant in mutants)]


def as_entry(mutant: Mutant) -> str:
    """The text to put into the list, for whoever finds that a mutant is equivalent."""
    nth = f"nth = {mutant.nth}\n" if mutant.nth > 1 else ""
    quote = "'''" if '"""' not in mutant.before + mutant.after else '"""'
    return (
        f'[[mutant]]\nexercise = "{mutant.exercise}"\n'
        f"before = {quote}\n{mutant.before}\n{quote}\nafter = {quote}\n{mutant.after}\n{quote}\n{nth}"
        'reason = ""\n'
    )
