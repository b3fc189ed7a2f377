"""Notebooks as tests: nbval runs them and compares what comes out with what is stored."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from labs.kit.checks.arena import SLOWNESS
from labs.kit.exercises import manifest
from labs.kit.isolation import sandbox, scratch
from pyctr_lite.engine.state import paths

NOTEBOOKS = manifest.CHECKOUT / "notebooks"
SECONDS_A_CELL = 120


def command(files: list[Path], *more: str) -> list[str]:
    """nbval's command line: outputs are compared, but for those of cells whose tag says otherwise."""
    return [
        *(sys.executable, "-m", "pytest", "-q", "--disable-plugin-autoload", "-p", "nbval.plugin", "--nbval"),
        *("-p", "no:cacheprovider", "-c", os.devnull),
        *("--rootdir", str(NOTEBOOKS)),
        f"--nbval-cell-timeout={SECONDS_A_CELL * SLOWNESS:.0f}",
        *more,
        *map(str, files),
    ]


def run(files: list[Path], labs: Path | None = None, *more: str) -> str:
    """Run notebooks: "" where all is as stored, else what differs. `labs`: with those functions in the engine."""
    with state_directory(labs) as environment:
        done = subprocess.run(command(files, *more), env=environment, capture_output=True, text=True)
    return "" if done.returncode == 0 else _short(done.stdout + done.stderr)


@contextlib.contextmanager
def state_directory(labs: Path | None) -> Iterator[dict[str, str]]:
    """An engine of its own with the image busybox, as environment for notebooks. At the end it is removed."""
    with scratch.directory("notebooks") as root:
        yield from _engine_in(root, labs)


def _engine_in(root: Path, labs: Path | None) -> Iterator[dict[str, str]]:
    environment = {**os.environ, "PYCTR_LITE_ROOT": str(root), "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    environment.pop("PYCTR_LITE_LABS", None)
    if labs is not None:
        environment["PYCTR_LITE_LABS"] = str(labs)
    engine = [sys.executable, "-m", "pyctr_lite"]
    try:
        command = [*engine, "image", "bootstrap", "busybox"]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        yield environment
    finally:
        ids = subprocess.run(
            [*engine, "ps", "-aq"], env=environment, capture_output=True, text=True
        ).stdout.split()
        if ids:
            subprocess.run([*engine, "rm", "-f", "-v", *ids], env=environment, capture_output=True)
        sandbox.remove_groups(paths.Paths(str(root)).cgroup.strip("/"))
        sandbox.remove_networks(str(root))


def _short(output: str) -> str:
    """nbval's account of the first cell that differs, without colours and pytest's frame."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", output)
    parts = re.split(r"^_{5,} .* _{5,}$", text, flags=re.MULTILINE)
    first = parts[1] if len(parts) > 1 else text
    return first.partition("=== short test summary")[0].strip()[-4000:]
