"""`make capstone`, and the words that are for exercises too: hint, reset and solution of the capstone."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from labs.kit import screen
from labs.kit.capstone import program, session
from labs.kit.commands import hints, reset
from labs.kit.exercises import manifest

if TYPE_CHECKING:
    from pathlib import Path

NAME = "capstone"
"""Its value of EX and LAB."""
_SOLVED = manifest.CHECKOUT / "tests/labs/solved" / program.FILE


def run(verb: str, labs: Path) -> int:
    """Run one of its commands. Raises NoSuchExercise for a command that it does not have."""
    if verb == "hint":
        about = f"[bold]The capstone[/] (labs/{program.FILE})"
        return hints.show_next(NAME, about, manifest.capstone_hints(), labs)
    if verb == "reset":
        return reset.restore("The capstone", NAME, [program.FILE], labs)
    if verb == "solution":
        return _show_solution(labs)
    if verb in ("capstone", "check"):
        return _check(labs)
    raise manifest.NoSuchExercise(f"{verb} is not for the capstone: make capstone checks it")


def table(report: session.Report) -> Table:
    """Return the checks with what came of each."""
    shown = Table(title="Capstone  A run of your own", title_justify="left", box=None, pad_edge=False)
    for name in ("check", "state"):
        shown.add_column(name, justify="left", header_style="bold")
    shown.add_column("points", justify="right", header_style="bold")
    for result in report.results:
        state = Text(result.state, style=screen.STYLES.get(result.state, "red"))
        shown.add_row(result.check.title, state, f"{result.points}/{result.most}" if result.most else "")
    shown.add_row("", "", Text(f"{report.points}/{report.most}", style="bold"))
    return shown


def _check(labs: Path) -> int:
    """Check the program: 0 unless it was written and fails."""
    console = screen.console()
    with screen.doing(console, "checking the capstone"):
        report = session.check(labs)
    if screen.VERBOSE:
        console.print(report.output, markup=False)
    console.print(table(report))
    console.print()
    for result in report.results:
        if result.message:
            title = Text(result.check.title)
            body = Text(result.message)
            console.print(Panel(body, title=title, title_align="left", border_style="red", expand=False))
    if report.message:
        console.print(report.message, style="red", markup=False, soft_wrap=True)
    if report.full:
        console.print("[bold green]The capstone is complete.[/] make solution EX=capstone shows another one.")
        return 0
    to_do = all(result.state == "to do" for result in report.results)
    if to_do:
        console.print(f"[bold]Next:[/] write labs/{program.FILE}; labs/capstone/README.md says what it does")
    console.print(f"[bold]A hint:[/] make hint EX={NAME}")
    return 0 if to_do else 1


def _show_solution(labs: Path) -> int:
    """Print a solution, but only to somebody whose own program is complete."""
    if os.geteuid() != 0:
        print("solution of the capstone needs root: it checks yours first\n  run it with sudo", file=sys.stderr)
        return 2
    report = session.check(labs)
    if not report.full:
        print(
            f"a solution is shown when yours has all {report.most} points; it has {report.points}: make capstone",
            file=sys.stderr,
        )
        return 1
    text = Syntax(_SOLVED.read_text(), "python", word_wrap=True)
    screen.console().print(Panel(text, title="a solution, beside yours", title_align="left"))
    return 0
