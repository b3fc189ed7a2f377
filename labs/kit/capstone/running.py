"""A learner's program that runs in a world, and one that has ended."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from labs.kit.checks.arena import SLOWNESS
from labs.kit.checks.expect import CheckFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from labs.kit.capstone.world import World

SECONDS = 10 * SLOWNESS
"""How long a program may take."""


class Done:
    """A program that has ended: its exit status as waitpid has it, and what it wrote."""

    def __init__(self, status: int, output: bytes, errors: bytes) -> None:
        self.status, self.bytes = status, output
        self.output = output.decode(errors="backslashreplace")
        self.errors = errors.decode(errors="backslashreplace").replace("/capstone/labs/", "labs/")

    def describe(self) -> str:
        """Say how it ended, with the learner's line if Python printed a traceback."""
        lines = [line for line in self.errors.splitlines() if line.strip()]
        text = f"exit status {self.status}" if self.status >= 0 else f"killed by signal {-self.status}"
        shown = [line.strip()[:300] for line in dict.fromkeys((*lines[:1], *lines[-1:]))]
        if lines:
            text += f", and it wrote: {' … '.join(line for line in shown if not line.startswith('Traceback'))}"
        if self.status == 70 and not lines:
            text += " (a child made by 1.3, spawn, that returned or raised an exception?)"
        frames = [line.strip() for line in lines if line.startswith('  File "labs/')]
        return f"{text}\n    {frames[-1]}" if frames else text


class Running:
    """A program that runs in a world. `pid` is its pid as the checks see it.

    `output` and `errors` are files: a pipe would stay open as long as a process that was left behind has it.
    """

    def __init__(self, world: World, process: subprocess.Popen[bytes], output: int, errors: int) -> None:
        self.world, self.process, self.pid = world, process, process.pid
        self.output, self.errors = output, errors

    def finish(self, input: bytes = b"", seconds: float = SECONDS) -> Done:
        """Wait for its end, after a few bytes of input. Raises CheckFailed if it does not end in time."""
        try:
            self.process.communicate(input, seconds)
        except subprocess.TimeoutExpired:
            words = " ".join(map(str, self.process.args[3:]))  # type: ignore[index]
            raise CheckFailed(f"`run {words}` has not ended after {seconds:g} s: what does it wait for?") from None
        return Done(self.process.returncode, _content(self.output), _content(self.errors))

    def command(self, *args: str) -> int:
        """Wait until COMMAND runs, and return its pid. Raises CheckFailed if the program ends before."""
        wanted = b"".join(arg.encode() + b"\0" for arg in args)
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            for pid in self.world.processes():
                if read_of_process(f"/proc/{pid}/cmdline") == wanted:
                    return pid
            if self.process.poll() is not None:
                done = self.finish()
                raise CheckFailed(
                    f"`{' '.join(args)}` was to run, but the program ended: {done.describe()}\n    Why?"
                )
            time.sleep(0.01)
        raise CheckFailed(f"`{' '.join(args)}` does not run after {SECONDS:g} s: what does the program wait for?")

    def wait_until(self, holds: Callable[[], object], seconds: float = SECONDS) -> None:
        """Wait until something holds, the program has ended or the time is up; without a pause."""
        deadline = time.monotonic() + seconds
        while not holds() and self.process.poll() is None and time.monotonic() < deadline:
            pass

    def others(self) -> set[int]:
        """List the other processes of the world."""
        return self.world.processes() - {self.pid}

    def has_written(self) -> bool:
        """Return whether anything was written to standard output."""
        return os.fstat(self.output).st_size > 0


def _content(fd: int) -> bytes:
    return os.pread(fd, os.fstat(fd).st_size, 0)


def read_of_process(path: str) -> bytes:
    """Read a file of a process; empty if the process has gone."""
    try:
        return Path(path).read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""
