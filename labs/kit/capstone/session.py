"""One run of the capstone's checks: in the sandbox, within its time, and a result for every check."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from labs.kit.capstone import program
from labs.kit.capstone.check import Check
from labs.kit.capstone.checks import CHECKS
from labs.kit.checks.arena import SLOWNESS
from labs.kit.exercises import manifest
from labs.kit.isolation import sandbox, scratch

if TYPE_CHECKING:
    from collections.abc import Sequence

SECONDS = 240


@dataclass
class Result:
    """The state of a check ("passed", "failed", "to do", "broken", "unchecked"), and what was observed."""

    check: Check
    state: str = "unchecked"
    message: str = ""
    seconds: float = 0.0

    @property
    def points(self) -> int:
        """All of the check's points, or none."""
        return self.most if self.state == "passed" else 0

    @property
    def most(self) -> int:
        """The check's points."""
        return self.check.points


@dataclass
class Report:
    """The results, in the order of the handout. `message` says why the program was not run."""

    results: list[Result] = field(default_factory=list)
    message: str = ""
    output: str = ""

    @property
    def points(self) -> int:
        """Points reached."""
        return sum(result.points for result in self.results)

    @property
    def most(self) -> int:
        """Points there are."""
        return sum(result.most for result in self.results)

    @property
    def full(self) -> bool:
        """Whether nothing is missing; what is optional may be."""
        return all(result.state == "passed" for result in self.results if result.most)


def check(labs: Path = manifest.LABS, names: Sequence[str] = ()) -> Report:
    """Check the program of a labs directory, by all checks or by some. For a process with one thread, as root.

    If the first check is among them and fails, the others are not run.
    """
    wanted = [check for check in CHECKS if not names or check.name in names]
    state, why = program.state(labs / program.FILE)
    if state != "written":
        return Report([Result(check, state) for check in wanted], why)
    with scratch.directory("labs") as directory:
        return _check(labs, directory, wanted)


def _check(labs: Path, directory: Path, wanted: list[Check]) -> Report:
    results, output = directory / "results", directory / "output"
    command = [sys.executable, "-B", "-m", "labs.kit.capstone", str(labs), str(results)]
    command += [check.name for check in wanted]
    outcome = sandbox.run(command, output, directory / "tmp", os.urandom(4).hex(), SECONDS * SLOWNESS)
    text = output.read_text(errors="replace") if output.exists() else ""
    found = results.read_text().splitlines() if results.exists() else []
    lines = {line["check"]: line for line in map(json.loads, found)}
    if not lines:
        raise RuntimeError(f"the checks could not be run (exit status {outcome.status}):\n{text}")
    report = Report(output=text)
    for check in wanted:
        result = Result(check)
        if line := lines.get(check.name):
            result.state = "failed" if line["message"] else "passed" if line["tried"] else "to do"
            result.message, result.seconds = line["message"], line["seconds"]
        report.results.append(result)
    if outcome.timed_out:
        report.message = f"the checks were stopped after {SECONDS * SLOWNESS:.0f} s: the rest is unchecked"
    elif outcome.status != 0:
        report.message = (
            f"the checks were ended before the last one (exit status {outcome.status}):\n{text[-2000:]}"
        )
    return report
