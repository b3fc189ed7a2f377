"""`make trace EX=3.2`: the learner's kernel steps of one run with their neighbours, beside the engine's."""

from __future__ import annotations

import os
from pathlib import Path

from labs.kit import screen
from labs.kit.commands import narration
from labs.kit.exercises import manifest, source

_RUN = (
    "run --name trace -h trace -m 64m --pids-limit 100 -v data:/data:ro busybox"
    " sh -c 'echo new >/file; rm /bin/vi' >/dev/null"
)
_COMMIT = f"reference {_RUN}\npyctr_lite commit trace trace:1 >/dev/null"
_NETWORK = _RUN.replace("--name trace", "--name trace -p 8080:80")
_NOTE = "?  a call of Python's own, such as os.chdir: yours is heard only if explain.step makes it"


def show(id: str, labs: Path) -> int:
    """Run a container with the learner's functions and without; show the steps. Lab 5: with a commit, 6: a port.

    Shows the learner's steps and those that differ with two neighbours each, or all steps if FULL=1.
    """
    exercise = manifest.find(id)
    chapter = exercise.lab.partition("_")[2]
    scripts = {"commit": _COMMIT, "networks": f"pyctr_lite {_NETWORK}"}
    script = scripts.get(chapter, f"pyctr_lite {_RUN}")
    ours = narration.run(script, labs)
    theirs = narration.run(script, None)
    rows = narration.compare(*(narration.of_chapter(run.steps, chapter) for run in (ours, theirs)))
    shown: list[narration.Row | int] = narration.near(rows, lambda row: row.learners or row.sign)
    if os.environ.get("FULL"):
        shown = list(rows)
    console = screen.console()
    if not any(row.learners for row in rows):
        console.print(_nothing_of_theirs(exercise, labs), markup=False)
    found = [row for row in shown if isinstance(row, narration.Row)]
    if found:
        console.print(narration.table(shown, "yours", "the engine's"))
    if any(row.sign == "?" for row in found):
        console.print(_NOTE, markup=False)
    if len(found) < len(rows):
        console.print(f"All {len(rows)} steps of the chapter: make trace EX={id} FULL=1", style="dim")
    if ours.text:
        console.print(ours.text, style="red", markup=False)
    return 0


def _nothing_of_theirs(exercise: manifest.Exercise, labs: Path) -> str:
    """Say why no step of the chapter is the learner's."""
    state = source.state(labs, exercise)[0]
    if state != "written":
        return f"Nothing here is yours yet: {exercise.id} {exercise.name}() is {state}, and the engine's own ran."
    return f"No step here is yours: {exercise.name}() makes no kernel call in this run, or was not reached."
