"""`make break EX=3.2`: one function of the engine is faulty. See what it does wrong, and name the fault."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from labs.kit import screen
from labs.kit.commands import narration, progress
from labs.kit.exercises import breaks, manifest
from labs.kit.isolation import scratch


def show(id: str, labs: Path) -> int:
    """Show a fault's symptom beside the sound engine, or judge the answer in ANSWER; 2 for an answer out of range.

    At a terminal, the answer is asked for.
    """
    fault = breaks.find(id)
    console = screen.console()
    answer = os.environ.get("ANSWER", "")
    if not answer:
        _show_symptom(console, fault)
        if not sys.stdin.isatty():
            console.print(f"Name it: make break EX={id} ANSWER=a", style="bold")
            return 0
        answer = _ask(console)
        if not answer:
            return 0
    return _judge(console, fault, answer.strip().lower(), labs)


def count(labs: Path) -> str:
    """Say how many faults were named, of those that show on this machine."""
    named = breaks.named(progress.load(labs, "answers"))
    return f"{len(named)} of {len(breaks.here())} faults found (make break)."


def run(fault: breaks.Break, faulty: bool) -> narration.Run:
    """Run a fault's script in the sandbox: with the faulty function in the engine, or with the engine alone."""
    if not faulty:
        return narration.run(fault.script, None)
    with scratch.directory("labs") as labs:
        for place in dict.fromkeys(exercise.place for exercise in manifest.exercises()):
            (labs / place).parent.mkdir(exist_ok=True)
            shutil.copy(manifest.STARTERS / place, labs / place)
        scratch.write(labs / fault.exercise.place, _file_of(fault).encode())
        return narration.run(fault.script, labs)


def _file_of(fault: breaks.Break) -> str:
    """Return the mistake's file, in which the other exercises of the learner's file are to do."""
    others = [
        f'\n\ndef {other.name}() -> None:\n    raise Todo("{other.id}")\n'
        for other in manifest.exercises()
        if other.place == fault.exercise.place and other != fault.exercise
    ]
    return fault.mistake.read_text() + "".join(others)


def _show_symptom(console: Console, fault: breaks.Break) -> None:
    exercise = fault.exercise
    console.print(f"[bold]{exercise.id} {exercise.title}[/]: {exercise.name}() is not yours now, and faulty.")
    console.print(Panel(Text(fault.script), title="what is run", title_align="left", expand=False))
    faulty, sound = run(fault, True), run(fault, False)
    for each, title, style in (faulty, "what it does", "red"), (sound, "what it should do", "green"):
        text = f"{each.text}\n" if each.text else ""
        console.print(
            Panel(
                Text(f"{text}exit status {each.status}"),
                title=title,
                title_align="left",
                border_style=style,
                expand=False,
            )
        )
    chapter = exercise.lab.partition("_")[2]
    rows = narration.compare(*(narration.of_chapter(each.steps, chapter) for each in (faulty, sound)))
    if any(row.sign for row in rows):
        shown = narration.near(rows, lambda row: row.sign)
        console.print(narration.table(shown, "the faulty one", "the engine's"))
    else:
        console.print(f"The kernel steps of {chapter} are the same in both.", style="dim")
    console.print()
    console.print(fault.question, style="bold", markup=False)
    for letter, choice in zip(breaks.LETTERS, fault.choices, strict=True):
        console.print(screen.item(f"{letter})", choice))


def _ask(console: Console) -> str:
    console.print("Your answer (a, b, c or d; Enter for later): ", end="", style="bold")
    return sys.stdin.readline().strip()


def _judge(console: Console, fault: breaks.Break, answer: str, labs: Path) -> int:
    id = fault.exercise.id
    if answer not in tuple(breaks.LETTERS):
        print(f"the answer {answer!r} is not one of a, b, c and d: make break EX={id} ANSWER=b", file=sys.stderr)
        return 2
    before = progress.load(labs, "answers").get(id, "")
    try:
        progress.remember(labs, "answers", id, f"{before if isinstance(before, str) else ''}{answer}")
    except OSError as error:
        told = f"{error.filename} cannot be written ({error.strerror}): the answer is not counted."
        console.print(told, style="red", markup=False, soft_wrap=True)
    if answer == fault.right:
        console.print(f"[bold green]Found: {answer}.[/]")
        console.print(Text(fault.explanation))
        console.print(count(labs))
    else:
        console.print(f"It is not {answer}. What would the symptom be if it were? Again: make break EX={id}")
    return 0
