"""`make mine`: the way of a `run` through the engine, and which functions on it are the learner's."""

from __future__ import annotations

import itertools
from pathlib import Path

from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from labs.kit import screen
from labs.kit.commands import narration
from labs.kit.exercises import manifest, source

_RUN = "run --rm -p 8080:80 -m 64m --pids-limit 100 -v data:/data -v $PWD/mine:/mine:ro busybox true"
_WIDTH = 46
_BAR = 40


def show(labs: Path) -> int:
    """Run a container with the learner's functions in the sandbox, and draw what was called, in order."""
    run = narration.run(f"pyctr_lite {_RUN}", labs, module="labs.kit.exercises.called")
    exercises = {exercise.id: exercise for exercise in manifest.exercises()}
    calls = [*run.text.splitlines(), *(step["call"] for step in run.steps)]
    called = [call.removeprefix("called ") for call in calls if call.startswith("called ")]
    way = [exercises[id] for id in dict.fromkeys(called)]
    steps = [step for step in run.steps if not step["call"].startswith("called ")]
    theirs = {id for id, exercise in exercises.items() if _is_written(labs, exercise)}
    console = screen.console()
    console.print(Text.assemble(("pyctr_lite --labs ", "bold"), _RUN))
    console.print(_picture(way, theirs))
    console.print(_bar([step["module"].startswith("labs.") for step in steps]))
    ours = sum(exercise.id in theirs for exercise in way)
    console.print(f"{ours} of the {len(way)} functions on the way of this run are yours (■, else □).")
    elsewhere = [exercise for id, exercise in exercises.items() if exercise not in way]
    marks = ", ".join(f"{each.id} {_mark(each, theirs)}" for each in elsewhere)
    console.print(f"Called by other verbs, or in other cases: {marks}")
    errors = [line for line in run.text.splitlines() if not line.startswith("called ")]
    if errors:
        console.print("\n".join(errors), style="red", markup=False)
    return 0


def _picture(way: list[manifest.Exercise], theirs: set[str]) -> Group:
    """Draw the functions in the order of their first call, boxed by chapter."""
    parts: list[Panel | Text] = []
    for lab, exercises in itertools.groupby(way, key=lambda exercise: exercise.lab):
        lines = [
            Text(
                f"{_mark(exercise, theirs)} {exercise.id} {exercise.name}()",
                style="bold green" if exercise.id in theirs else "dim",
            )
            for exercise in exercises
        ]
        title = lab.partition("_")[2]
        parts += [
            Text("    │", style="dim"),
            Panel(Group(*lines), title=title, title_align="left", width=_WIDTH, border_style="dim"),
        ]
    return Group(*parts, Text("    ▼", style="dim"), Text("  true", style="bold"), Text(""))


def _bar(steps: list[bool]) -> Text:
    """Draw the kernel steps of a run as a bar: how many the learner's functions made."""
    filled = round(_BAR * sum(steps) / len(steps)) if steps else 0
    return Text.assemble(
        ("█" * filled, "green"),
        ("░" * (_BAR - filled), "dim"),
        f" {sum(steps)} of {len(steps)} kernel steps made by your code",
    )


def _mark(exercise: manifest.Exercise, theirs: set[str]) -> str:
    return "■" if exercise.id in theirs else "□"


def _is_written(labs: Path, exercise: manifest.Exercise) -> bool:
    return source.state(labs, exercise)[0] == "written"
