"""Checks a mutant after the other, each alone in its sandbox, with one worker for each CPU."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from labs.kit.checks import session
from labs.kit.exercises import manifest
from pyctr_lite import linux
from pyctr_lite.linux.constants import PR_SET_PDEATHSIG
from tests.labs.mutants.mutant import Mutant


@dataclass(frozen=True)
class Outcome:
    """What came of a mutant's checks: `state` of session.STATES, the check that failed and what it says."""

    state: str
    check: str
    message: str
    seconds: float

    @property
    def killed(self) -> bool:
        """Whether the checks refuse the mutant."""
        return self.state != "passed"


def outcomes(mutants: list[Mutant]) -> Iterator[tuple[Mutant, Outcome]]:
    """Check mutants, in their order."""
    with multiprocessing.get_context("fork").Pool(os.cpu_count(), _end_with_the_parent) as pool:
        yield from zip(mutants, pool.imap(check, mutants), strict=True)


def _end_with_the_parent() -> None:
    """Leave Ctrl-C to the parent, and end when it ends."""
    signal.signal(signal.SIGINT, lambda number, frame: None)
    linux.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def end_in_order(number: int, frame: FrameType | None) -> NoReturn:
    """A handler of SIGTERM: a worker takes its sandbox with it, and a second signal does not keep it from that."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(1)


def check(mutant: Mutant) -> Outcome:
    """Check one, in a labs directory of its own. Only for a process with one thread, as root."""
    exercise = manifest.find(mutant.exercise)
    with tempfile.TemporaryDirectory(prefix="mutant-") as directory:
        labs = Path(directory) / "labs"
        for each in manifest.exercises():
            (labs / each.place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(manifest.STARTERS / each.place, labs / each.place)
        (labs / exercise.place).write_text(mutant.file)
        [result] = session.check([exercise], labs).results
    if result.state in ("to do", "gone", "unchecked"):
        raise RuntimeError(f"a mutant of {mutant.exercise} was not checked, {result.state}:\n{mutant.diff}")
    return Outcome(result.state, result.check, result.message, result.seconds)
