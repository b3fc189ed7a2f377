"""The two images that the orchestrators load: busybox, and the pause image of a pod. Our engine makes both."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

PAUSE = ["/tini", "--", "/bin/sleep", "2147483647"]
"""A pod's first process: it holds the pod's namespaces, reaps orphans, and ends on SIGTERM."""
TINI = "/usr/bin/tini-static"


def save(engine: list[str], directory: Path) -> tuple[Path, Path]:
    """Write busybox.tar and pause.tar, archives for `load` and `ctr images import`, and return their paths.

    `engine`: the command line of pyctr_lite, on a state directory that has the image busybox:latest.
    """
    busybox, pause, name = directory / "busybox.tar", directory / "pause.tar", "make-the-pause-image"
    _engine(engine, "save", "-o", busybox, "docker.io/library/busybox:latest")
    _engine(engine, "create", "--name", name, "busybox")
    try:
        _engine(engine, "cp", shutil.which("tini-static") or TINI, f"{name}:/tini")
        program = ", ".join(f'"{word}"' for word in PAUSE)
        _engine(engine, "commit", "-c", f"ENTRYPOINT [{program}]", name, "docker.io/library/pause:1")
        _engine(engine, "save", "-o", pause, "docker.io/library/pause:1")
        _engine(engine, "rmi", "docker.io/library/pause:1")
    finally:
        _engine(engine, "rm", name)
    return busybox, pause


def _engine(engine: list[str], *args: str | Path) -> None:
    subprocess.run([*engine, *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, check=True)
