"""What a running command has open, as a test waits for it."""

from __future__ import annotations

import os
from pathlib import Path


def has_open(pid: int, kind: str) -> bool:
    """Whether a process has something open that /proc/PID/fd names so: "socket:", "anon_inode:inotify"."""
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if os.readlink(fd).startswith(kind):
                return True
        except FileNotFoundError:
            pass  # closed since it was listed
    return False
