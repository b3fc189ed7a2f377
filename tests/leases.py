"""Leases of files (fcntl(2)): who opens a leased file has to wait until the holder gives it back, up to 45 s."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def leased(*paths: Path) -> Iterator[None]:
    """Hold leases of files, which are made if they are missing, and ignore that others ask for them."""
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    fds = [os.open(path, os.O_RDWR | os.O_CREAT) for path in paths]
    try:
        for fd in fds:
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        yield
    finally:
        for fd in fds:
            os.close(fd)
        signal.signal(signal.SIGIO, before)
