"""The calls that an engine makes of our OCI runtime, narrated by the runtime (`pyctr-oci --explain`)."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from labs.kit.isolation import scratch

_HEADER = "$ pyctr-oci "
_STEP = re.compile(r"\[([^]]+)\] +(.*)")


@dataclass
class Call:
    """One call of the runtime: its verb, its arguments, and each kernel step with the chapter that explains it.

    A step that the container's first process makes after its gate was opened counts for the call that opened it.
    """

    verb: str
    args: list[str]
    steps: list[tuple[str, str]] = field(default_factory=list)

    def find(self, text: str) -> str:
        """Return the first step that has a text in it, "" if there is none."""
        return next((step for _, step in self.steps if text in step), "")


class Recorder:
    """A program that stands in for the runtime and writes down its calls: engines are given its path."""

    def __init__(self, directory: Path, runtime: Path) -> None:
        self.program, self.file, self.read = directory / "pyctr-oci", directory / "calls", 0
        directory.mkdir(exist_ok=True)
        words = shlex.join([str(runtime), f"--explain={self.file}"])
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
            elif calls and (step := _STEP.match(line)):
                calls[-1].steps.append((step[1], step[2]))
        return calls


def table(calls: Iterable[Call]) -> str:
    """Return a line for each call: its verb, and the number of its kernel steps by chapter."""
    lines = []
    for call in calls:
        counts = Counter(chapter for chapter, _ in call.steps)
        parts = ", ".join(f"{chapter}: {count}" for chapter, count in sorted(counts.items()))
        lines.append(f"{call.verb:<8} {len(call.steps):>4} kernel steps   {parts}")
    return "\n".join(lines)
