"""`make watch LAB=3`: the lab again on each save."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

from labs.kit import manifest
from pyctr_lite.linux import inotify


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
    fd = inotify.inotify_init1(inotify.IN_CLOEXEC | inotify.IN_NONBLOCK)
    try:
        # An editor writes the file, or writes another and renames it to the name.
        inotify.inotify_add_watch(fd, str(directory), inotify.IN_MODIFY | inotify.IN_MOVED_TO | inotify.IN_CREATE)
        while _versions(directory) == before:
            select.select([fd], [], [])
            os.read(fd, 1 << 16)
    finally:
        os.close(fd)


def _versions(directory: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in directory.glob("*.py")}
