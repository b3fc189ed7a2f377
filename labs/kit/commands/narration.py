"""Runs of the engine in the sandbox, with a learner's functions in it or without: output and kernel steps.

A run is a shell script in which `pyctr_lite` is the engine with the functions, and `reference` the engine alone.
"""

from __future__ import annotations

import difflib
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from labs.kit.checks import session
from labs.kit.checks.arena import SLOWNESS
from labs.kit.exercises import manifest
from labs.kit.isolation import sandbox, scratch
from pyctr_lite.engine.state import paths

Step = dict[str, Any]
NEIGHBOURS = 2
"""Steps shown before and after one that is of interest."""
MAX_TEXT = 200
"""Characters of a step that are shown."""

_PREAMBLE = """
reference() { "$PYCTR_PYTHON" -m pyctr_lite --root "$PYCTR_ENGINE" "$@"; }
pyctr_lite() {
    case $1 in run | exec | commit) verb=$1; shift; set -- "$verb" --explain=json "$@" ;; esac
    "$PYCTR_PYTHON" -m $PYCTR_MODULE --root "$PYCTR_ENGINE" ${PYCTR_LABS:+"--labs=$PYCTR_LABS"} "$@"
}
"""
_SILENT = ("chdir(", "fchdir(", "mkdir(", "rmdir(", "kill(")
"""Steps of the engine's own functions that are calls of Python's own: a learner who makes them is not heard."""


@dataclass(frozen=True)
class Run:
    """The outcome of a run: its kernel steps, all other output, and the exit status."""

    steps: list[Step]
    text: str
    status: int


def run(script: str, labs: Path | None, module: str = "pyctr_lite") -> Run:
    """Run a script in the sandbox, with the functions of a labs directory in the engine (`python -m module`)."""
    with scratch.directory("trace") as directory:
        return _run_in(directory, script, labs, module)


def _run_in(directory: Path, script: str, labs: Path | None, module: str) -> Run:
    root, output = str(directory / "tmp/engine"), directory / "output"
    command = [sys.executable, "-m", "pyctr_lite", "--root", root, "image", "bootstrap", "busybox"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    values: dict[str, object] = {"PYTHON": sys.executable, "MODULE": module, "ENGINE": root, "LABS": labs or ""}
    environment = [f"PYCTR_{name}={value}" for name, value in values.items()]
    environment.append(f"PYTHONPATH={manifest.CHECKOUT}")
    shell = ["/bin/sh", "-c", f'mkdir "$TMPDIR/work" && cd "$TMPDIR/work"\n{_PREAMBLE}\n{script}']
    seconds = session.SECONDS_A_CHECK * SLOWNESS
    outcome = sandbox.run(
        ["/usr/bin/env", *environment, *shell], output, directory / "tmp", os.urandom(4).hex(), seconds
    )
    steps, lines = [], []
    for line in output.read_text(errors="replace").splitlines():
        step = _step(line)
        if step is None:
            lines.append(_general(line.replace(str(labs), "labs") if labs else line, root))
        else:
            steps.append(step | {"call": _general(step["call"], root)})
    if outcome.timed_out:
        lines.append(f"it did not end within {seconds:.0f} s, and was stopped: what does it wait for, or loop on?")
    return Run(steps, "\n".join(lines).strip("\n"), outcome.status)


def _step(line: str) -> Step | None:
    if not line.startswith('{"chapter"'):
        return None
    try:
        step: Step = json.loads(line)
    except (ValueError, RecursionError):
        return None
    known = all(isinstance(step.get(key), str) for key in ("name", "module", "call"))
    return (
        step if known and isinstance(step.get("pid"), int) and {"result", "microseconds"} <= step.keys() else None
    )


def _general(text: str, root: str) -> str:
    """Return a text without what differs in every run: ids, pids, descriptors, the directory and its group."""
    text = text.replace(root, "…").replace(paths.Paths(root).cgroup, "/…").replace(os.path.dirname(root), "…")
    text = re.sub(r"[0-9a-f]{64}", "<id>", text)
    text = re.sub(r"\bp([cv])-[0-9a-f]{12}\b", r"p\1-<id>", text)
    text = re.sub(r"/run/view-\d+", "/run/view", text)
    text = re.sub(r"/proc/self/fd/\d+", "/proc/self/fd/N", text)
    return re.sub(r"\b(setns|kill|fchdir|openat2)\(\d+", r"\1(N", text)


def of_chapter(steps: list[Step], chapter: str) -> list[Step]:
    """Return a chapter's steps, process by process: which of two comes first differs from run to run."""
    found = [step for step in steps if step["name"] == chapter]
    return sorted(found, key=lambda step: math.inf if step["pid"] == 1 else step["pid"])


@dataclass(frozen=True)
class Row:
    """A step of both runs (`sign` is ""), of ours ("+"), or of theirs: "-", or "?" if ours may be unheard."""

    sign: str
    ours: Step | None
    theirs: Step | None

    @property
    def learners(self) -> bool:
        """Whether a function of a labs directory made the step."""
        return self.ours is not None and self.ours["module"].startswith("labs.")


def compare(ours: list[Step], theirs: list[Step]) -> list[Row]:
    """Return the steps of two runs side by side."""
    one, other = [step["call"] for step in ours], [step["call"] for step in theirs]
    rows = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if kind == "equal":
            rows += [Row("", *pair) for pair in zip(ours[a:b], theirs[c:d], strict=True)]
        else:
            rows += [Row("+", step, None) for step in ours[a:b]]
            rows += [Row("?" if step["call"].startswith(_SILENT) else "-", None, step) for step in theirs[c:d]]
    return rows


def near(rows: list[Row], wanted: Callable[[Row], object]) -> list[Row | int]:
    """Return the rows that are wanted, with two neighbours on each side; a number stands for steps left out.

    Of many steps in a row that only one run has, as after an error, the first few are enough.
    """
    shown = {
        neighbour
        for number, row in enumerate(rows)
        if wanted(row) and not _goes_on(rows, number)
        for neighbour in range(number - NEIGHBOURS, number + NEIGHBOURS + 1)
    }
    result: list[Row | int] = []
    for number, row in enumerate(rows):
        if number in shown:
            result.append(row)
        elif result and isinstance(result[-1], int):
            result[-1] += 1
        else:
            result.append(1)
    return result


def _goes_on(rows: list[Row], number: int) -> bool:
    """Whether a row belongs to a long difference, and not to the beginning of it."""
    before = rows[max(0, number - NEIGHBOURS) : number]
    return len(before) == NEIGHBOURS and all(row.ours is None for row in [*before, rows[number]])


def _cut(text: str) -> str:
    """Cut a step that would fill the screen: a whole rule set is one."""
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"


def table(rows: Sequence[Row | int], ours: str, theirs: str) -> Table:
    """Lay out rows, each with whose function made the step: `ours` or `theirs` ("the engine's")."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "whose", "step", "result"):
        shown.add_column(name)
    for name in ("µs", theirs):
        shown.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        if isinstance(row, int):
            shown.add_row("", "", f"… {row} more", style="dim")
            continue
        step = row.ours or row.theirs
        assert step is not None
        whose = ours if row.learners else theirs if row.ours else f"only {theirs}"
        shown.add_row(
            row.sign,
            whose,
            Text(_cut(step["call"])),
            str(step["result"] or ""),
            str(row.ours["microseconds"]) if row.ours else "",
            str(row.theirs["microseconds"]) if row.theirs else "",
            style={"+": "green", "-": "red", "?": "dim"}.get(row.sign, "bold" if row.learners else ""),
        )
    return shown
