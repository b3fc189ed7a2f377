"""A person at a terminal: a command on a pseudo-terminal, what it shows, and keys that are pressed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

PATIENCE = 30 * float(os.environ.get("PYCTR_SLOW", "1"))
"""Seconds that a person waits for anything to show: longer where the machine is emulated."""


class Person:
    """One command at a terminal of 24 rows and 80 columns. `shown` is all that it has written so far."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process, self.master, self.shown = process, master, ""

    def press(self, keys: str) -> None:
        """Type; "\\x03" is Ctrl-C."""
        os.write(self.master, keys.encode())

    def sees(self, text: str, *, seconds: float = PATIENCE) -> str:
        """Wait until a text is shown; what was shown up to its end, which is then done with."""
        deadline = time.monotonic() + seconds
        while text not in self.shown:
            if not self._read(deadline):
                raise AssertionError(f"{text!r} was not shown, but {self.shown!r}")
        before, _, self.shown = self.shown.partition(text)
        return before + text

    def leaves(self, *, seconds: float = PATIENCE) -> int:
        """Wait for the command's end: its exit status."""
        deadline = time.monotonic() + seconds
        while self._read(deadline):
            pass
        return self.process.wait(timeout=seconds)

    def resize(self, rows: int, columns: int) -> None:
        """Change the size of the terminal."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self.master], [], [], max(0, deadline - time.monotonic()))
        try:
            data = os.read(self.master, 65536) if ready else b""
        except OSError:  # EIO: nobody has the terminal open any more
            data = b""
        self.shown += data.decode(errors="replace")
        return bool(data)


@contextlib.contextmanager
def at_terminal(
    command: list[str], *, cwd: Path | None = None, env: dict[str, str] | None = None
) -> Iterator[Person]:
    """Start a command on a terminal of its own; at the end it is killed if it still runs."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", *command], stdin=slave, stdout=slave, stderr=slave, cwd=cwd, env=env
    )
    os.close(slave)
    try:
        yield Person(process, master)
    finally:
        os.close(master)
        if process.poll() is None:
            process.kill()
            process.wait()
