"""`make trace EX=3.2`: the kernel steps of one run, the learner's beside the runtime's."""

from __future__ import annotations

import difflib
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from labs.kit import manifest, sandbox, screen
from pyctr_lite.engine import paths

Steps = list[dict[str, Any]]
_RUN = ("run", "--name", "trace", "-m", "64m", "--pids-limit", "100", "-v", "data:/data:ro", "busybox")
_SCRIPT = "echo new >/file; rm /bin/vi"


def show(id: str, labs: Path) -> int:
    """Run a container (and commit it, for lab 5) with the learner's functions and without; print the steps."""
    exercise = manifest.find(id)
    chapter = exercise.lab.partition("_")[2]
    verb = "commit" if chapter == "commit" else "run"
    mine, error = _trace(verb, labs)
    theirs, _ = _trace(verb, None)
    console = screen.console()
    console.print(_table(_of(mine, chapter), _of(theirs, chapter)))
    if error:
        console.print(error, style="red", markup=False)
    return 0


def _trace(verb: str, labs: Path | None) -> tuple[Steps, str]:
    """The steps of one verb, and what it says if it fails."""
    with tempfile.TemporaryDirectory(prefix="pyctr_lite-trace-") as root:
        engine = [sys.executable, "-m", "pyctr_lite", "--root", root]
        learners = [f"--labs={labs}"] if labs else []
        subprocess.run([*engine, "image", "bootstrap", "busybox"], check=True, stdout=subprocess.DEVNULL)
        try:
            script = ("sh", "-c", _SCRIPT)
            if verb == "run":
                words = [*learners, _RUN[0], "--explain=json", *_RUN[1:], *script]
            else:
                subprocess.run([*engine, *_RUN, *script], check=True)
                words = [*learners, "commit", "--explain=json", "trace", "trace:1"]
            done = subprocess.run([*engine, *words], capture_output=True, text=True)
        finally:
            subprocess.run([*engine, "rm", "-f", "-v", "trace"], capture_output=True)
            sandbox.remove_groups(paths.Paths(root).cgroup.strip("/"))
    lines = [line for line in done.stderr.splitlines() if line]
    steps = [json.loads(line) for line in lines if line.startswith("{")]
    rest = "\n".join(line for line in lines if not line.startswith("{"))
    return [_general(step, root) for step in steps], rest


def _general(step: dict[str, Any], root: str) -> dict[str, Any]:
    """A step without what is another in every run: ids, pids, descriptors, the directory."""
    call = re.sub(r"[0-9a-f]{64}", "<id>", step["call"].replace(root, "…"))
    call = re.sub(r"/proc/self/fd/\d+", "/proc/self/fd/N", call)
    return step | {"call": re.sub(r"\b(setns|kill|fchdir|openat2)\(\d+", r"\1(N", call)}


def _of(steps: Steps, chapter: str) -> Steps:
    return [step for step in steps if step["name"] == chapter]


def _table(mine: Steps, theirs: Steps) -> Table:
    """Both, step by step; what only one has is marked."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "whose", "step", "result"):
        shown.add_column(name)
    one, other = [step["call"] for step in mine], [step["call"] for step in theirs]
    for kind, a, b, c, d in difflib.SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        for step in mine[a:b]:
            whose = "yours" if step["module"].startswith("labs.") else "reference"
            sign, style = ("", "") if kind == "equal" else ("+", "green")
            shown.add_row(sign, whose, Text(step["call"]), str(step["result"] or ""), style=style)
        if kind != "equal":
            for step in theirs[c:d]:
                shown.add_row(
                    "-", "only the runtime's", Text(step["call"]), str(step["result"] or ""), style="red"
                )
    return shown
