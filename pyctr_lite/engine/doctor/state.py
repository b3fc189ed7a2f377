"""Findings about the engine's own state: its directories, leftovers of killed processes, errors of monitors."""

from __future__ import annotations

import os
import stat

from pyctr_lite.engine import leftovers
from pyctr_lite.engine.doctor.finding import Finding
from pyctr_lite.engine.state.record import Record
from pyctr_lite.engine.state.states import State
from pyctr_lite.errors import BrokenRecord

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyctr_lite.engine.home import Home

_FIX = "pyctr_lite doctor --fix"


def findings(home: Home) -> Iterator[Finding]:
    """Examine the state directory and the run directory, each kind of leftover, and the monitors' errors."""
    yield _directory("root directory", home.paths.root)
    yield _directory("run directory", home.paths.run)
    if os.geteuid() != 0:
        return
    yield _records(home)
    found = leftovers.find(home)
    for kind, plural in leftovers.KINDS.items():
        left = [each.path for each in found if each.kind == kind]
        text = f"{len(left)} left by killed processes: {', '.join(left[:3])}{', …' * (len(left) > 3)}"
        yield Finding("state", plural, not left, text if left else "no leftovers", _FIX, needed=False)
    yield _faults(f"{home.paths.run}/faults.log")


def _directory(name: str, path: str) -> Finding:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return Finding("state", name, True, f"{path} does not exist yet")
    except OSError as error:
        return Finding("state", name, False, f"{path}: {error.strerror}", "use sudo")
    if not stat.S_ISDIR(status.st_mode):
        return Finding(
            "state", name, False, f"{path} is not a directory", "move it away, or choose another --root"
        )
    writers = "its group" if status.st_mode & stat.S_IWGRP else "everyone" if status.st_mode & stat.S_IWOTH else ""
    if status.st_uid != 0 or writers:
        text = f"{path} is writable by {f'user {status.st_uid}' if status.st_uid else writers}"
        return Finding("state", name, False, text, f"chown 0 {path}; chmod go-w {path}")
    free = os.statvfs(path)
    megabytes = free.f_bavail * free.f_frsize // 10**6
    return Finding("state", name, megabytes >= 100, f"{path}, {megabytes} MB free", "free space: image prune, rm")


def _records(home: Home) -> Finding:
    """Examine the files of the containers: one that is damaged is in no list."""
    damaged, fix = [], ""
    for id in home.names.directories():
        try:
            Record.read(home.paths.container(id))
            State.read(home.paths.container(id))
        except FileNotFoundError:
            pass  # it is being made or removed, or a leftover
        except BrokenRecord as error:
            damaged.append(error.message)
            fix = error.hint
    return Finding("state", "records", not damaged, "; ".join(damaged) or "all can be read", fix, needed=False)


def _faults(path: str) -> Finding:
    """Examine the errors that monitors logged because no command was waiting for them."""
    try:
        with open(path, errors="replace") as file:
            faults = [line for line in file if " monitor of " in line]
    except FileNotFoundError:
        faults = []
    text = f"{len(faults)}, the last: {faults[-1].strip()}" if faults else "none"
    return Finding("state", "monitor faults", not faults, text, f"read {path}, and remove it", needed=False)
