"""One run of checks: in the sandbox, within its time, and a result for every exercise asked for."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labs.kit.checks.arena import SLOWNESS
from labs.kit.exercises import manifest
from labs.kit.isolation import sandbox, scratch

SECONDS_A_CHECK = 60
SECONDS_A_RUN = 60
"""Beside 30 for each exercise: a guard, because each call has a limit of its own."""

UNUSED = ("doctest", "legacypath", "logging", "threadexception", "unittest", "unraisableexception")
"""Plugins of pytest that do something before and after each check, and nothing for it."""

STATES = {
    "passed": "every check passed",
    "failed": "a check failed",
    "to do": "not written yet",
    "broken": "its file cannot be read or run",
    "gone": "the file has no such function",
    "unfit": "the engine cannot call what is there",
    "stopped": "it was stopped: its time was up, or it killed the checks",
    "unchecked": "what came before it kept its checks from running",
}


@dataclass
class Result:
    """The outcome of one exercise: its state (of `STATES`), and the first failed check's observation."""

    exercise: manifest.Exercise
    state: str = "unchecked"
    message: str = ""
    check: str = ""
    traceback: str = ""
    seconds: float = 0.0

    @property
    def points(self) -> int:
        """All of the exercise's points, or none."""
        return self.exercise.points if self.state == "passed" else 0


@dataclass
class Report:
    """The results of a run, in the order of the manifest, and all that it printed (for VERBOSE=1)."""

    results: list[Result] = field(default_factory=list)
    output: str = ""

    @property
    def points(self) -> int:
        """Points reached."""
        return sum(result.points for result in self.results)

    @property
    def most(self) -> int:
        """Points there are."""
        return sum(result.exercise.points for result in self.results)

    @property
    def full(self) -> bool:
        """Whether nothing is missing."""
        return all(result.state == "passed" for result in self.results)


def check(exercises: list[manifest.Exercise], labs: Path = manifest.LABS, seconds: float | None = None) -> Report:
    """Check exercises, with the functions of a labs directory. Only for a process with one thread, as root."""
    with scratch.directory("labs") as directory:
        return _check(exercises, labs, directory, (seconds or SECONDS_A_RUN + 30 * len(exercises)) * SLOWNESS)


def _check(exercises: list[manifest.Exercise], labs: Path, directory: Path, allowed: float) -> Report:
    results, output = directory / "results", directory / "output"
    command = [
        *(sys.executable, "-B", "-m", "pytest", "-q", "--disable-plugin-autoload", "-p", "pytest_timeout"),
        *("-p", "labs.kit.checks.plugin", "-p", "no:cacheprovider"),
        *("--assert=plain", *(word for name in UNUSED for word in ("-p", f"no:{name}"))),
        *("-c", os.devnull, "--rootdir", str(manifest.LABS), "--import-mode=importlib", "--no-header"),
        *("--timeout", str(SECONDS_A_CHECK * SLOWNESS), "--timeout-method", "signal"),
        *("--labs", str(labs), "--results", str(results)),
        *(word for exercise in exercises for word in ("--exercise", exercise.id)),
        *(str(manifest.LABS / name) for name in dict.fromkeys(exercise.lab for exercise in exercises)),
    ]
    outcome = sandbox.run(command, output, directory / "tmp", os.urandom(4).hex(), allowed)
    lines = _read(results)
    text = output.read_text(errors="replace") if output.exists() else ""
    report = Report([_result(exercise, lines) for exercise in exercises], text)
    for result in report.results:
        if result.state == "stopped":
            result.message = _why_stopped(outcome, allowed, result.exercise.id)
    if not lines and exercises:
        raise RuntimeError(f"the checks could not be run (exit status {outcome.status}):\n{text}")
    return report


def _read(results: Path) -> list[dict[str, Any]]:
    """The lines that the checks wrote; one that was cut off is left out."""
    lines = []
    for line in results.read_text(errors="replace").splitlines() if results.exists() else []:
        try:
            lines.append(json.loads(line))
        except ValueError:
            continue
    return lines


def _result(exercise: manifest.Exercise, lines: list[dict[str, Any]]) -> Result:
    """One exercise's result of all lines that its checks wrote."""
    result = Result(exercise)
    for line in lines:
        if line["exercise"] != exercise.id or result.state in ("failed", "to do", "broken", "gone", "unfit"):
            continue
        result.seconds += line.get("seconds", 0)
        result.state, result.check = line["outcome"], line["check"]
        result.message, result.traceback = line.get("message", ""), line.get("traceback", "")
    if result.state == "begun":
        result.state = "stopped"
    return result


def _why_stopped(outcome: sandbox.Outcome, allowed: float, id: str) -> str:
    if outcome.forks_refused:
        return (
            f"it made more than {sandbox.PIDS} processes, and was stopped: does a child go on where it must exit?"
        )
    if outcome.timed_out:
        return (
            f"the checks took more than {allowed:.0f} s together, and were stopped here: is the machine "
            f"busy? make check EX={id} checks this exercise alone"
        )
    if outcome.status == -9:
        return f"it was killed: it used more than {sandbox.MEMORY >> 20} MiB of memory, or killed its own parent"
    return f"it ended the checks themselves (exit status {outcome.status}): does it call exit, or kill?"
