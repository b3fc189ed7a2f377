"""The engine's own state: its directories, its volumes and containers, what killed processes left, faults."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pyctr_lite.engine import leftovers
from pyctr_lite.engine.doctor.finding import Finding

if TYPE_CHECKING:
    from pyctr_lite.engine.home import Home

_FIX = "pyctr_lite doctor --fix"


def findings(home: Home) -> Iterator[Finding]:
    """The state directory and the run directory, a line for each kind of leftover, monitors' faults."""
    yield _directory("root directory", home.paths.root)
    yield _directory("run directory", home.paths.run)
    if os.geteuid() != 0:
        return
    found = leftovers.find(home)
    for kind, plural in leftovers.KINDS.items():
        left = [each.path for each in found if each.kind == kind]
        text = f"{len(left)} left by killed processes: {', '.join(left[:3])}{', …' * (len(left) > 3)}"
        yield Finding("state", plural, not left, text if left else "none is left over", _FIX, needed=False)
    yield _faults(f"{home.paths.run}/faults.log")


def _directory(name: str, path: str) -> Finding:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return Finding("state", name, True, f"{path} is not made yet")
    except OSError as error:
        return Finding("state", name, False, f"{path}: {error.strerror}", "use sudo")
    if not stat.S_ISDIR(status.st_mode):
        return Finding("state", name, False, f"{path} is no directory", "move it away, or choose another --root")
    open_to = "group" if status.st_mode & stat.S_IWGRP else "everyone" if status.st_mode & stat.S_IWOTH else ""
    if status.st_uid != 0 or open_to:
        who = f"user {status.st_uid}" if status.st_uid else open_to
        return Finding(
            "state", name, False, f"{path} can be written by {who}", f"chown 0 {path}; chmod go-w {path}"
        )
    free = os.statvfs(path)
    megabytes = free.f_bavail * free.f_frsize // 10**6
    return Finding("state", name, megabytes >= 100, f"{path}, {megabytes} MB free", "make room: image prune, rm")


def _faults(path: str) -> Finding:
    """What monitors could tell nobody."""
    try:
        with open(path, errors="replace") as file:
            faults = [line for line in file if " monitor of " in line]
    except FileNotFoundError:
        faults = []
    text = f"{len(faults)}, the last: {faults[-1].strip()}" if faults else "none"
    return Finding("state", "monitor faults", not faults, text, f"read {path}, and remove it", needed=False)
