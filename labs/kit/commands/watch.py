"""`make watch LAB=3`: the lab again on each save, first what was changed."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console

from labs.kit import screen
from labs.kit.checks import session
from labs.kit.exercises import manifest, source

SECONDS_BETWEEN_LOOKS = 0.3


def watch(number: int, labs: Path) -> int:
    """Check a lab, and on each save the functions that were changed, until Ctrl-C.

    The results of the others are kept: a check puts the function of its exercise alone into the engine.
    """
    lab = manifest.find_lab(number)
    console = screen.console()
    results: dict[str, session.Result] = {}
    wanted = list(lab.exercises)
    try:
        while True:
            before, texts = _versions(labs / lab.name), _texts(lab, labs)
            report = session.check(wanted, labs)
            results |= {result.exercise.id: result for result in report.results}
            _show(console, lab, labs, report.results if len(wanted) < len(lab.exercises) else [], results)
            console.print(f"\nwaiting for a change in labs/{lab.name} (Ctrl-C ends it)")
            wanted = []
            while not wanted:
                _wait_for_change(labs / lab.name, before)
                before, after = _versions(labs / lab.name), _texts(lab, labs)
                wanted = [exercise for exercise in lab.exercises if after[exercise.id] != texts[exercise.id]]
    except KeyboardInterrupt:
        return 130


def _show(
    console: Console,
    lab: manifest.Lab,
    labs: Path,
    changed: list[session.Result],
    results: dict[str, session.Result],
) -> None:
    """Show the results of the functions that were changed, then the lab's table and one next step."""
    for result in changed:
        console.print(screen.outcome(result))
    report = session.Report([results[exercise.id] for exercise in lab.exercises])
    console.print(screen.table(f"Lab {lab.number}  {lab.title}", report, labs))
    following = screen.first_open(report)
    if following is None:
        console.print(f"All of lab {lab.number} passes. Its notebook and the earlier labs: make lab{lab.number}")
    elif following not in changed:
        console.print()
        console.print(screen.explain(following))


def _texts(lab: manifest.Lab, labs: Path) -> dict[str, tuple[str, str]]:
    """Return each function's source, with the rest of its file: what is outside of functions belongs to all."""
    texts = {}
    for exercise in lab.exercises:
        path = labs / exercise.place
        names = [other.name for other in lab.exercises if other.place == exercise.place]
        rest = source.without(path, names)
        texts[exercise.id] = (source.of_file(path, exercise.name), rest)
    return texts


def _wait_for_change(directory: Path, before: dict[str, int]) -> None:
    """Look again and again: of a save on the other side of a folder that a VM shares, inotify(7) hears nothing."""
    while _versions(directory) == before:
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _versions(directory: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in directory.glob("*.py")}
