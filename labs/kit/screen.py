"""What a learner sees: a table of the exercises, the first failure explained, one next step."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from labs.kit.checks.session import Report, Result
from labs.kit.exercises import levels, manifest, source
from pyctr_lite.screen import visible

STYLES = {"passed": "green", "to do": "dim", "unchecked": "dim"}
"""How a state is shown; any other is red."""
VERBOSE = bool(os.environ.get("VERBOSE"))


def console() -> Console:
    """The console of this command: colours for a terminal, plain text and a fixed width for anything else."""
    return _Terminal(highlight=False) if sys.stdout.isatty() else Console(width=100, highlight=False)


@contextlib.contextmanager
def doing(console: Console, what: str) -> Iterator[None]:
    """Show at a terminal what the command does, until it is done.

    Rich's own `status` turns a spinner in a thread. Checks fork: if the thread waits for the interpreter at that
    moment, the child gives way to it, and waits for ever, because it has no such thread.
    """
    with Live(Text(f"{what} …"), console=console, transient=True, auto_refresh=False):
        yield


class _Terminal(Console):
    """A console that a learner's file, or what its functions print and raise, cannot drive.

    Whatever is shown goes through `render`; only the styles of rich itself reach the terminal as they are.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render, with control characters in texts shown as `\\x1b` and the like."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


def table(title: str, report: Report, labs: Path) -> Table:
    """The exercises of a lab with what came of each, and the level at which its function was given out."""
    shown = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name, justify in (
        ("", "left"),
        ("exercise", "left"),
        ("file", "left"),
        ("level", "left"),
        ("state", "left"),
        ("points", "right"),
    ):
        shown.add_column(name, justify=justify, no_wrap=name != "exercise")  # type: ignore[arg-type]
    for result in report.results:
        style = STYLES.get(result.state, "red")
        shown.add_row(
            result.exercise.id,
            result.exercise.title,
            f"{result.exercise.file}: {result.exercise.name}()",
            Text(levels.of(labs / result.exercise.place, result.exercise.name), style="dim"),
            Text(_state(result, report), style=style),
            f"{result.points}/{result.exercise.points}",
        )
    shown.add_row("", "", "", "", "", Text(f"{report.points}/{report.most}", style="bold"))
    return shown


def _state(result: Result, report: Report) -> str:
    """The state, and of what is to do or failed the exercises that come before it."""
    if result.state == "passed":
        return result.state
    open_ids = {other.exercise.id for other in report.results if other.state != "passed"}
    needs = [id for id in result.exercise.needs if id in open_ids]
    return f"{result.state}, after {', '.join(needs)}" if needs else result.state


def first_open(report: Report) -> Result | None:
    """The exercise to look at next: one that was tried and fails before one that is to do, both in order."""
    tried = [result for result in report.results if result.state not in ("passed", "to do", "unchecked")]
    rest = [result for result in report.results if result.state in ("to do", "unchecked")]
    return next(iter(tried + rest), None)


def explain(result: Result) -> Group | Text:
    """What was observed of an exercise that does not pass, and what to do next."""
    exercise = result.exercise
    hint = Text.assemble(("A hint: ", "bold"), f"make hint EX={exercise.id}")
    if result.state in ("to do", "unchecked"):
        where = f"labs/{exercise.place}: {exercise.name}()"
        return Group(Text.assemble(("Next: ", "bold"), f"{exercise.id} {exercise.title}, in {where}"), hint)
    check = result.check.split("_", 3)[-1].replace("_s_", "'s_").replace("_", " ")
    body = Text(result.message or f"{exercise.name}() is {result.state}")
    shown = [Panel(body, title=f"{exercise.id}  {check}", title_align="left", border_style="red", expand=False)]
    more = [Text(result.traceback, style="dim")] if VERBOSE and result.traceback else []
    trace = Text.assemble(("Your steps beside the engine's: ", "bold"), f"make trace EX={exercise.id}")
    return Group(*shown, *more, hint, trace)


def outcome(result: Result) -> RenderableType:
    """Show the result of one exercise: that it passes, or why not and what to do next."""
    exercise = result.exercise
    if result.state != "passed":
        return explain(result)
    line = f"{exercise.id} {exercise.title}: passed, {result.points}/{exercise.points} points"
    return Text(line, style="green")


def item(label: str, text: str) -> Padding:
    """Lay out an item of a list: long lines go on below the text, not below the label."""
    shown = Table.grid(padding=(0, 1))
    shown.add_row(label, Text(text))
    return Padding(shown, (0, 0, 0, 2))


def yours(labs: Path) -> str:
    """How much of the engine is the learner's by now, as the files read: nothing of them is run here."""
    exercises = manifest.exercises()
    count = sum(source.state(labs, exercise)[0] == "written" for exercise in exercises)
    return f"{count} of {len(exercises)} functions of the engine are yours."
