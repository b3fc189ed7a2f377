"""All labs with points, as a table and as JSON: of this checkout, or of a learner's that lies elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
from pathlib import Path
from typing import Any

from labs.kit import screen
from labs.kit.capstone import program
from labs.kit.capstone import session as capstone_session
from labs.kit.checks import session
from labs.kit.commands import capstone, progress
from labs.kit.exercises import breaks, levels, manifest
from labs.kit.exercises.source import MAX_BYTES
from labs.kit.isolation import scratch

VM = Path("/var/lib/pyctr_vm/is_the_vm")
"""Marks the course's VM (vagrant/provision.sh)."""


def grade(work: Path, output: Path) -> int:
    """Check every exercise with the files of `work` (a checkout, or its labs directory): 0 only when all are full.

    The capstone is checked, too, and counted apart: the exit status is that of the labs.
    Only the files of exercises and of the capstone are taken from there; checks, hints and engine are this
    checkout's.
    Others' code is run as root: so it is done in the course's VM only, or where TRUSTED=1 says that it may be.
    """
    if not work.is_dir():
        print(f"there is no directory {work}: WORK is another checkout, or its labs directory", file=sys.stderr)
        return 2
    if work.resolve() != manifest.CHECKOUT and not VM.exists() and os.environ.get("TRUSTED") != "1":
        print(
            f"grading runs the code in {work} as root: do it in the VM (vagrant up), "
            "or with TRUSTED=1 on a machine that may be lost",
            file=sys.stderr,
        )
        return 2
    with scratch.directory("grade") as labs:
        source = work / "labs" if (work / "labs").is_dir() else work
        refused = _take_files(source, labs)
        report = session.check(manifest.exercises(), labs, seconds=600)
        own_run = capstone_session.check(labs)
        console = screen.console()
        for lab in manifest.load():
            part = session.Report([result for result in report.results if result.exercise.lab == lab.name])
            console.print(screen.table(f"Lab {lab.number}  {lab.title}", part, labs))
            console.print()
        named = breaks.named(_answers(source))
        graded = as_json(work, report, labs) | {
            "found": len(named),
            "refused": refused,
            "capstone": capstone_as_json(own_run),
        }
    console.print(capstone.table(own_run))
    console.print()
    for line in refused:
        console.print(f"[red]{line}[/]")
    console.print(f"[bold]{report.points} of {report.most} points.[/]")
    console.print(f"[bold]Capstone: {own_run.points} of {own_run.most} points.[/]")
    console.print(f"{len(named)} of {len(breaks.load())} faults found.")
    scratch.write(output, (json.dumps(graded, indent=2) + "\n").encode())
    console.print(f"Written to {output}", markup=False)
    return 0 if report.full else 1


def as_json(work: Path, report: session.Report, labs: Path) -> dict[str, Any]:
    """Return the report for a teacher's program; `labs` has the files that were graded."""
    return {
        "work": str(work.resolve()),
        "points": report.points,
        "of": report.most,
        "exercises": [
            {
                "id": result.exercise.id,
                "title": result.exercise.title,
                "points": result.points,
                "of": result.exercise.points,
                "state": result.state,
                "level": levels.of(labs / result.exercise.place, result.exercise.name),
                "seconds": round(result.seconds, 3),
                "observed": result.message,
            }
            for result in report.results
        ],
    }


def capstone_as_json(report: capstone_session.Report) -> dict[str, Any]:
    """Return the capstone's part of it."""
    return {
        "points": report.points,
        "of": report.most,
        "observed": report.message,
        "checks": [
            {
                "name": result.check.name,
                "title": result.check.title,
                "points": result.points,
                "of": result.most,
                "state": result.state,
                "seconds": round(result.seconds, 3),
                "observed": result.message,
            }
            for result in report.results
        ],
    }


def _take_files(source: Path, target: Path) -> list[str]:
    """Copy the files of exercises and capstone, never through a link; what was refused is left as its starter."""
    refused = []
    for place in dict.fromkeys([*(exercise.place for exercise in manifest.exercises()), program.FILE]):
        (target / place).parent.mkdir(exist_ok=True)
        try:
            data = _read(source / place)
        except OSError as error:
            refused.append(f"{place}: {error.strerror or error}: the starter is graded instead")
            shutil.copy(manifest.STARTERS / place, target / place)
        else:
            (target / place).write_bytes(data)
    return refused


def _answers(source: Path) -> dict[str, Any]:
    """The letters that were answered to `make break`; a file that cannot be read has none."""
    try:
        return progress.parse(_read(source / progress.NAME), "answers")
    except OSError:
        return {}


def _read(path: Path) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
            raise OSError(0, "it is no regular file, or too large")
        return file.read()
