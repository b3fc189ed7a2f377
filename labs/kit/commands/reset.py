"""Back to the starter, at the chosen level: what was there is kept in labs/backups first."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from labs.kit import screen
from labs.kit.exercises import levels, manifest
from labs.kit.isolation import scratch


def reset(number: int, labs: Path) -> int:
    """Replace the files of a lab by their starters; those that differ are copied away before."""
    lab = manifest.find_lab(number)
    return restore(f"Lab {number}", lab.name, _files(lab), labs)


def restore(title: str, directory: str, files: list[str], labs: Path) -> int:
    """Replace files by their starters, after a copy of those that differ to a new directory in labs/backups."""
    console = screen.console()
    level = levels.chosen()
    starters = {name: levels.file(name, level) for name in files}
    changed = [name for name, text in starters.items() if not _has(labs / name, text)]
    if not changed:
        console.print(f"{title} is as it was at the beginning: nothing to do.")
        return 0
    backup = _new_directory(labs / "backups", directory)
    for name in changed:
        if (labs / name).exists():
            shutil.copy2(labs / name, backup / Path(name).name)
    for name in changed:  # its time is now: of a copied folder the newer file is taken (vagrant/exchange.sh)
        scratch.write(labs / name, starters[name].encode())
    console.print(f"{title} is as it was at the beginning. Your work is in {backup}")
    return 0


def _files(lab: manifest.Lab) -> list[str]:
    return list(dict.fromkeys(exercise.place for exercise in lab.exercises))


def _has(path: Path, text: str) -> bool:
    return path.exists() and path.read_bytes() == text.encode()


def _new_directory(parent: Path, name: str) -> Path:
    """A directory that was not there before, named after the lab and the time."""
    base = parent / f"{name}-{time.strftime('%Y-%m-%d-%H%M%S')}"
    for number in range(1, 1000):
        directory = base if number == 1 else base.with_name(f"{base.name}-{number}")
        try:
            directory.mkdir(parents=True)
        except FileExistsError:
            continue
        return directory
    raise FileExistsError(base)
