"""The calls that an engine makes of our OCI runtime, narrated by the runtime (`pyctr-oci --explain`)."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from labs.kit.exercises import manifest
from labs.kit.isolation import scratch

_HEADER = "$ pyctr-oci "
_STEP = re.compile(r"\[([^]]+)\] +(.*)")


@dataclass(frozen=True)
class Step:
    """A kernel step: its chapter, its text, and its module if a learner's functions may be in the runtime."""

    chapter: str
    text: str
    module: str = ""

    @property
    def is_learners(self) -> bool:
        """Whether a learner's code made the step."""
        return self.module.startswith("labs.")


@dataclass
class Call:
    """One call of the runtime: its verb, its arguments, and each kernel step with the chapter that explains it.

    A step that the container's first process makes after its gate was opened counts for the call that opened it.
    """

    verb: str
    args: list[str]
    steps: list[Step] = field(default_factory=list)

    def find(self, text: str) -> str:
        """Return the first step that has a text in it, "" if there is none."""
        return next((step.text for step in self.steps if text in step.text), "")


class Recorder:
    """A program that stands in for the runtime and writes down its calls: engines are given its path.

    `labs`: with the functions in the runtime that a learner has written there.
    """

    def __init__(self, directory: Path, runtime: Path, labs: Path | None = None) -> None:
        self.program, self.file, self.read = directory / "pyctr-oci", directory / "calls", 0
        directory.mkdir(exist_ok=True)
        words = shlex.join([str(runtime), f"--explain={self.file}"])
        if labs is not None:
            program = [sys.executable, "-m", "labs.kit.orchestrators.learners", str(self.file), str(labs)]
            words = f"env PYTHONPATH={shlex.quote(str(manifest.CHECKOUT))} {shlex.join(program)}"
        scratch.write(self.program, f'#!/bin/sh\nexec {words} "$@"\n'.encode(), 0o755)

    def new(self) -> list[Call]:
        """Return the calls since the last time."""
        try:
            with self.file.open("rb") as file:
                file.seek(self.read)
                data = file.read()
        except FileNotFoundError:
            return []
        self.read += len(data)
        calls: list[Call] = []
        for line in data.decode(errors="replace").splitlines():
            if line.startswith(_HEADER):
                verb, *args = line[len(_HEADER) :].split()
                calls.append(Call(verb, args))
            elif calls and (step := _step(line)):
                calls[-1].steps.append(step)
        return calls


def _step(line: str) -> Step | None:
    """Return the step of a line, as --explain writes it or --explain=json."""
    if line.startswith("{"):
        told = json.loads(line)
        label = f"{told['chapter']} {told['name']}" if told["chapter"] else told["name"]
        return Step(label, told["call"], told["module"])
    found = _STEP.match(line)
    return Step(found[1], found[2]) if found else None


def table(calls: Iterable[Call]) -> str:
    """Return a line for each call: its verb, and the number of its kernel steps by chapter."""
    lines = []
    for call in calls:
        counts = Counter(step.chapter for step in call.steps)
        parts = ", ".join(f"{chapter}: {count}" for chapter, count in sorted(counts.items()))
        lines.append(f"{call.verb:<8} {len(call.steps):>4} kernel steps   {parts}")
    return "\n".join(lines)
