"""The open files of a running command, so that a test can wait for one."""

from __future__ import annotations

import os
from pathlib import Path


def has_open(pid: int, kind: str) -> bool:
    """Check if /proc/PID/fd shows an open file of a kind: "socket:", "anon_inode:inotify"."""
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if os.readlink(fd).startswith(kind):
                return True
        except FileNotFoundError:
            pass  # closed since it was listed
    return False
