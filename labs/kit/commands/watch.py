"""`make watch LAB=3`: the lab again on each save."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from labs.kit.exercises import manifest

SECONDS_BETWEEN_LOOKS = 0.3


def watch(number: int, labs: Path) -> int:
    """Check a lab, and again whenever one of its files is saved, until Ctrl-C."""
    lab = manifest.find_lab(number)
    command = [sys.executable, "-m", "labs.kit", "--labs", str(labs), "lab", str(number)]
    try:
        while True:
            before = _versions(labs / lab.name)
            subprocess.run(command)
            print(f"\nwaiting for a change in labs/{lab.name} (Ctrl-C ends it)", flush=True)
            _wait_for_change(labs / lab.name, before)
    except KeyboardInterrupt:
        return 130


def _wait_for_change(directory: Path, before: dict[str, int]) -> None:
    """Look again and again: of a save on the other side of a folder that a VM shares, inotify(7) hears nothing."""
    while _versions(directory) == before:
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _versions(directory: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in directory.glob("*.py")}
