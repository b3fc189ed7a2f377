"""A person at a terminal: run a command on a pseudo-terminal, read its screen, press keys."""

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
"""Seconds to wait for a text to appear; longer on an emulated machine."""


class Person:
    """One command on a terminal of 24 rows and 80 columns. `shown`: output that `sees` has not consumed yet."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process, self.master, self.shown = process, master, ""

    def press(self, keys: str) -> None:
        """Type; "\\x03" is Ctrl-C."""
        os.write(self.master, keys.encode())

    def sees(self, text: str, *, seconds: float = PATIENCE) -> str:
        """Wait until a text is shown, and return the output up to the end of that text, which is consumed."""
        deadline = time.monotonic() + seconds
        while text not in self.shown:
            if not self._read(deadline):
                raise AssertionError(f"{text!r} was not shown, but {self.shown!r}")
        before, _, self.shown = self.shown.partition(text)
        return before + text

    def leaves(self, *, seconds: float = PATIENCE) -> int:
        """Wait until the command ends, and return its exit status."""
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
        except OSError:  # EIO: no process has the terminal open
            data = b""
        self.shown += data.decode(errors="replace")
        return bool(data)


@contextlib.contextmanager
def at_terminal(
    command: list[str], *, cwd: Path | None = None, env: dict[str, str] | None = None
) -> Iterator[Person]:
    """Run a command on a new terminal. If it still runs at the end of the block, it is killed."""
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
