"""The directory is listed: pid_for_children and time_for_children are taken for kinds."""

from __future__ import annotations

import os

HINT = "the kinds, by their names in /proc/<pid>/ns"


def identify(pid: int | str = "self") -> dict[str, int]:
    directory = f"/proc/{pid}/ns"
    return {name: os.stat(f"{directory}/{name}").st_ino for name in os.listdir(directory)}
