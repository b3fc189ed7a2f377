"""Checks of an engine on a given OCI runtime: command lines, a terminal, many facts a test."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shlex
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from tests.conftest import SLOWNESS
from tests.leaks import hierarchies


class Checks:
    """Facts of one story. All of them are looked at, and the test fails at its end with those that do not hold.

    `minimum` is the number of facts that the story must get to.
    """

    def __init__(self, minimum: int) -> None:
        self.minimum, self.count, self.failures = minimum, 0, list[str]()

    def equal(self, fact: str, found: object, expected: object) -> None:
        """Check that a value is the expected one."""
        self._note(found == expected, fact, f"found {found!r}, expected {expected!r}")

    def match(self, fact: str, text: str, pattern: str) -> None:
        """Check that a pattern is found in a text."""
        self._note(bool(re.search(pattern, text, re.MULTILINE)), fact, f"{pattern!r} is not in {text!r}")

    def true(self, fact: str, holds: object, evidence: object = "") -> None:
        """Check that a fact holds."""
        self._note(bool(holds), fact, str(evidence))

    def _note(self, holds: bool, fact: str, evidence: str) -> None:
        self.count += 1
        if not holds:
            self.failures.append(f"{fact}: {evidence}")

    def __enter__(self) -> Checks:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            if self.failures:
                error.add_note("before that:\n  " + "\n  ".join(self.failures))
            return
        assert not self.failures, f"{len(self.failures)} of {self.count}:\n  " + "\n  ".join(self.failures)
        assert self.count >= self.minimum, f"only {self.count} checks"


@dataclass(frozen=True)
class Outcome:
    """The result of a command line."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        """The last line of the output."""
        return (self.out.rstrip("\n").splitlines() or [""])[-1]

    def __str__(self) -> str:
        return f"exit {self.code}, {self.out!r}, {self.err!r}"


class CommandLine:
    """An engine's command. `options` are given to every `run` and `create`."""

    def __init__(self, prefix: list[str], environment: dict[str, str], options: tuple[str, ...] = ()) -> None:
        self.prefix, self.environment, self.options = prefix, environment, options

    def args(self, line: str) -> list[str]:
        """Return the arguments of a command line such as `run --rm busybox true`."""
        words = shlex.split(line)
        verb = 2 if words[:2] == ["pod", "create"] else 1 if words[0] in ("run", "create") else len(words)
        return [*self.prefix, *words[:verb], *(self.options if verb < len(words) else ()), *words[verb:]]

    def __call__(self, line: str, *, input: str | None = None, seconds: float = 60) -> Outcome:
        """Run a command line to its end."""
        done = subprocess.run(
            self.args(line),
            env=self.environment,
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds * SLOWNESS,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def out(self, line: str) -> str:
        """Run a command line that must succeed; return its output without the last line end."""
        done = self(line)
        assert done.code == 0, f"{line}: {done}"
        return done.out.rstrip("\n")

    def terminal(self, line: str, rows: int = 24, columns: int = 80) -> Terminal:
        """Run a command line on a terminal of its own."""
        return Terminal(self.args(line), self.environment, rows, columns)


class Terminal:
    """A process on a terminal, the user's side of which we have."""

    def __init__(self, args: list[str], environment: dict[str, str], rows: int, columns: int) -> None:
        self.seen = ""
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.process = subprocess.Popen(
            args,
            env={**environment, "TERM": "xterm"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)

    def resize(self, rows: int, columns: int) -> None:
        """Give the terminal another size; the kernel sends SIGWINCH to the foreground."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, text: str) -> None:
        """Type a text."""
        os.write(self.master, text.encode())

    def expect(self, pattern: str, seconds: float = 30) -> str:
        """Wait for a pattern and return its first group, "" if it does not come. Later calls begin behind it."""
        deadline = time.monotonic() + seconds * SLOWNESS
        while not (found := re.search(pattern, self.seen)):
            if not self._read(deadline - time.monotonic()):
                return ""
        self.seen = self.seen[found.end() :]
        return found.group(found.re.groups and 1) or ""

    def _read(self, seconds: float) -> bool:
        if seconds <= 0 or not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False  # EIO: nobody has the other side open any more
        self.seen += data.decode(errors="replace")
        return bool(data)

    def end(self, seconds: float = 30) -> int:
        """Wait for the process's end and return its exit code; kill it if it does not end."""
        deadline = time.monotonic() + seconds * SLOWNESS
        while self._read(deadline - time.monotonic()):
            pass
        try:
            return self.process.wait(max(1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            return self.process.wait()
        finally:
            os.close(self.master)


def eventually(holds: Callable[[], bool], seconds: float = 15) -> bool:
    """Wait until something holds, for engines that have no event for it; return whether it does."""
    deadline = time.monotonic() + seconds * SLOWNESS
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def group_file(pid: str, controller: str, version_1: str, version_2: str) -> str:
    """Return the content of a file in a process's cgroup: of the named controller, or of version 2."""
    lines = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
    groups = {name: path for _, names, path in lines for name in names.split(",")}
    for hierarchy in hierarchies():
        if controller in groups and (file := hierarchy / groups[controller].lstrip("/") / version_1).exists():
            return file.read_text().strip()
        if "" in groups and (file := hierarchy / groups[""].lstrip("/") / version_2).exists():
            return file.read_text().strip()
    return f"there is no {version_1} of {pid}"
