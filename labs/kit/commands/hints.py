"""Hints, one tier further each time: from where to look, to what to do."""

from __future__ import annotations

from pathlib import Path

from labs.kit import screen
from labs.kit.commands import progress
from labs.kit.exercises import manifest


def show(id: str, labs: Path) -> int:
    """Show the next hint of an exercise, and those that were shown before."""
    exercise = manifest.find(id)
    about = f"[bold]{id} {exercise.title}[/] (labs/{exercise.place}: {exercise.name}())"
    return show_next(id, about, exercise.hints, labs)


def show_next(id: str, about: str, hints: tuple[str, ...], labs: Path) -> int:
    """Show one hint more than the last time, below a line that says what it is about."""
    given = progress.load(labs, "hints").get(id, 0)
    count = min((given if isinstance(given, int) else 0) + 1, len(hints))
    console = screen.console()
    console.print(about)
    for number, hint in enumerate(hints[:count], 1):
        console.print(screen.item(f"{number}.", hint))
    left = len(hints) - count
    console.print(
        f"[dim]{left} more: make hint EX={id}[/]" if left else f"[dim]That was all. make solution EX={id}[/]"
    )
    try:
        progress.remember(labs, "hints", id, count)
    except OSError as error:
        told = f"{error.filename} cannot be written ({error.strerror}): make hint will not go on from here."
        console.print(f"{told} All hints are in labs/labs.toml.", style="red", markup=False, soft_wrap=True)
    return 0
