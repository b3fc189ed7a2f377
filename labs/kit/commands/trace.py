"""`make trace EX=3.2`: the kernel steps of one run, the learner's beside the runtime's."""

from __future__ import annotations

import difflib
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from labs.kit import screen
from labs.kit.checks import session
from labs.kit.checks.arena import SLOWNESS
from labs.kit.exercises import manifest
from labs.kit.isolation import sandbox, scratch
from pyctr_lite.engine.state import paths

Steps = list[dict[str, Any]]
_RUN = ("run", "--name", "trace", "-h", "trace", *"-m 64m --pids-limit 100 -v data:/data:ro busybox".split())
_SCRIPT = "echo new >/file; rm /bin/vi"
_SILENT = ("chdir(", "fchdir(", "mkdir(", "rmdir(", "kill(")
"""Steps of the runtime's own functions that are calls of Python's own: a learner who makes them is not heard."""

_NOTE = "?  a call of Python's own, such as os.chdir: yours is told only if it is made by explain.step"


def show(id: str, labs: Path) -> int:
    """Run a container (and commit it, for lab 5) with the learner's functions and without; print the steps."""
    exercise = manifest.find(id)
    chapter = exercise.lab.partition("_")[2]
    verb = "commit" if chapter == "commit" else "run"
    mine, error = _trace(verb, labs)
    theirs, _ = _trace(verb, None)
    console = screen.console()
    shown, silent = _table(_of(mine, chapter), _of(theirs, chapter))
    console.print(shown)
    if silent:
        console.print(_NOTE, markup=False)
    if error:
        console.print(error, style="red", markup=False)
    return 0


def _trace(verb: str, labs: Path | None) -> tuple[Steps, str]:
    """The steps of one verb, in the sandbox, and what it says if it fails or hangs."""
    with scratch.directory("trace") as directory:
        return _trace_in(directory, verb, labs)


def _trace_in(directory: Path, verb: str, labs: Path | None) -> tuple[Steps, str]:
    root, output = str(directory / "tmp/engine"), directory / "output"
    engine = [sys.executable, "-m", "pyctr_lite", "--root", root]
    script = ("sh", "-c", _SCRIPT)
    words = [_RUN[0], "--explain=json", *_RUN[1:], *script]
    subprocess.run([*engine, "image", "bootstrap", "busybox"], check=True, stdout=subprocess.DEVNULL)
    if verb == "commit":
        subprocess.run([*engine, *_RUN, *script], check=True)
        words = ["commit", "--explain=json", "trace", "trace:1"]
    learners = [f"--labs={labs}"] if labs else []
    command = ["/bin/sh", "-c", '"$@" >/dev/null; exit $?', "sh", *engine, *learners, *words]
    seconds = session.SECONDS_A_CHECK * SLOWNESS
    outcome = sandbox.run(command, output, directory / "tmp", os.urandom(4).hex(), seconds)
    lines = [line for line in output.read_text(errors="replace").splitlines() if line]
    if outcome.timed_out:
        lines.append(f"it did not end within {seconds:.0f} s, and was stopped: what does it wait for, or loop on?")
    steps = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
    rest = "\n".join(line for line in lines if not line.startswith("{"))
    return [_general(step, root) for step in steps], rest


def _general(step: dict[str, Any], root: str) -> dict[str, Any]:
    """A step without what is another in every run: ids, pids, descriptors, the directory and its group."""
    call = step["call"].replace(root, "…").replace(paths.Paths(root).cgroup, "/…")
    call = re.sub(r"[0-9a-f]{64}", "<id>", call)
    call = re.sub(r"/run/view-\d+", "/run/view", call)
    call = re.sub(r"/proc/self/fd/\d+", "/proc/self/fd/N", call)
    return step | {"call": re.sub(r"\b(setns|kill|fchdir|openat2)\(\d+", r"\1(N", call)}


def _of(steps: Steps, chapter: str) -> Steps:
    """A chapter's steps, process by process: which of two comes first differs from run to run."""
    of_chapter = [step for step in steps if step["name"] == chapter]
    return sorted(of_chapter, key=lambda step: math.inf if step["pid"] == 1 else step["pid"])


def _table(mine: Steps, theirs: Steps) -> tuple[Table, bool]:
    """Both, step by step; what only one has is marked. And whether there is a step that yours may make unheard."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "whose", "step", "result"):
        shown.add_column(name)
    for name in ("µs", "runtime's"):
        shown.add_column(name, justify="right", no_wrap=True)
    one, other = [step["call"] for step in mine], [step["call"] for step in theirs]
    silent = False
    for kind, a, b, c, d in difflib.SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        for number, step in enumerate(mine[a:b]):
            whose = "yours" if step["module"].startswith("labs.") else "reference"
            sign, style = ("", "") if kind == "equal" else ("+", "green")
            beside = _microseconds(theirs[c + number]) if kind == "equal" else ""
            shown.add_row(sign, whose, *_told(step), _microseconds(step), beside, style=style)
        for step in theirs[c:d] if kind != "equal" else ():
            quiet = step["call"].startswith(_SILENT)
            silent |= quiet
            sign, style = ("?", "dim") if quiet else ("-", "red")
            shown.add_row(sign, "only the runtime's", *_told(step), "", _microseconds(step), style=style)
    return shown, silent


def _told(step: dict[str, Any]) -> tuple[Text, str]:
    return Text(step["call"]), str(step["result"] or "")


def _microseconds(step: dict[str, Any]) -> str:
    return str(step["microseconds"])
