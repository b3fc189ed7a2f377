"""Hints, one tier further each time: from where to look, to what to do."""

from __future__ import annotations

import json
from pathlib import Path

from labs.kit import manifest, screen


def show(id: str, labs: Path) -> int:
    """Show the next hint of an exercise, and those that were shown before."""
    exercise = manifest.find(id)
    given = _given(labs)
    count = min(given.get(id, 0) + 1, len(exercise.hints))
    _remember(labs, given | {id: count})
    console = screen.console()
    console.print(f"[bold]{id} {exercise.title}[/] (labs/{exercise.place}: {exercise.name}())")
    for number, hint in enumerate(exercise.hints[:count], 1):
        console.print(f"  {number}. {hint}", markup=False)
    left = len(exercise.hints) - count
    console.print(
        f"[dim]{left} more: make hint EX={id}[/]" if left else f"[dim]That was all. make solution EX={id}[/]"
    )
    return 0


def _file(labs: Path) -> Path:
    return labs / ".hints.json"


def _given(labs: Path) -> dict[str, int]:
    try:
        found: dict[str, int] = json.loads(_file(labs).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found


def _remember(labs: Path, given: dict[str, int]) -> None:
    _file(labs).write_text(json.dumps(given, indent=2, sort_keys=True) + "\n")
