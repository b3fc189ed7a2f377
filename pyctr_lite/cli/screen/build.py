"""The progress of a build: `plain` in BuildKit's form, and `tty` with the output of the step that runs."""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType

from pyctr_lite.cli.command import output
from pyctr_lite.engine.build.progress import Progress, Step

_TAIL = 6
"""Lines of output that the terminal shows of a running step."""
_UP_AND_CLEAR = "\x1b[{}A\x1b[J"


class Plain(Progress):
    """Lines that begin with the number of their step; `write` prints them."""

    def __init__(self) -> None:
        self.count = 0

    def step(self, title: str) -> Step:
        """Begin a step."""
        self.count += 1
        print(f"\n#{self.count} {title}", file=sys.stderr, flush=True)
        return _PlainStep(self.count)

    def warn(self, text: str) -> None:
        """Print a warning."""
        print(f"\n[Warning] {text}", file=sys.stderr, flush=True)


class _Lines:
    """Splits output into lines, with an incomplete one at the end."""

    def __init__(self) -> None:
        self._rest = b""

    def add(self, data: bytes) -> list[str]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [_text(line) for line in lines]

    def end(self) -> list[str]:
        rest, self._rest = self._rest, b""
        return [_text(rest)] if rest else []


def _text(line: bytes) -> str:
    """Return a line, without what a carriage return overwrites."""
    return line.rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace")


class _PlainStep(Step):
    def __init__(self, number: int) -> None:
        self._number, self._began, self._lines = number, time.monotonic(), _Lines()
        self._cached = False

    def output(self, data: bytes) -> None:
        self._print(self._lines.add(data))

    def cached(self) -> None:
        self._cached = True

    def _print(self, lines: list[str]) -> None:
        seconds = time.monotonic() - self._began
        for line in lines:
            print(f"#{self._number} {seconds:.3f} {line}", file=sys.stderr, flush=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._print(self._lines.end())
        seconds = time.monotonic() - self._began
        state = "CACHED" if self._cached else f"DONE {seconds:.1f}s"
        if error is not None:
            reason = isinstance(error, OSError) and error.strerror
            state = "CANCELED" if isinstance(error, KeyboardInterrupt) else f"ERROR: {reason or error}"
        print(f"#{self._number} {state}", file=sys.stderr, flush=True)


class Terminal(Progress):
    """One line for each step, and below the last one the end of its output while it runs."""

    def __init__(self) -> None:
        self._raw = output.raw_stream(2)
        self._shown = 0
        """The lines that are drawn again: those of the running step."""
        self._began = time.monotonic()

    def step(self, title: str) -> Step:
        """Begin a step."""
        return _TerminalStep(self, title)

    def warn(self, text: str) -> None:
        """Print a warning."""
        self.draw([], [f"[Warning] {text}"])

    def finish(self) -> None:
        """Print how long the build took."""
        print(f" Built in {time.monotonic() - self._began:.1f}s", file=sys.stderr, flush=True)

    def draw(self, running: list[str], ended: list[str]) -> None:
        """Draw the lines of the running step again, after lines that stay."""
        columns = shutil.get_terminal_size().columns - 1
        if self._shown:
            self._raw.write(_UP_AND_CLEAR.format(self._shown))
            self._raw.flush()
        for line in ended + running:
            print(output.one_line(line, 2)[:columns], file=sys.stderr)
        sys.stderr.flush()
        self._shown = len(running)


class _TerminalStep(Step):
    def __init__(self, screen: Terminal, title: str) -> None:
        self._screen, self._title = screen, title
        self._began, self._lines, self._cached = time.monotonic(), _Lines(), False
        self._all: list[str] = []
        self._draw()

    def _seconds(self) -> str:
        """Return the time since the step began."""
        return f"{time.monotonic() - self._began:.1f}s"

    def _draw(self) -> None:
        tail = [f" => => {line}" for line in self._all[-_TAIL:]]
        self._screen.draw([f" => {self._title}", *tail], [])

    def output(self, data: bytes) -> None:
        self._all = (self._all + self._lines.add(data))[-1000:]
        self._draw()

    def cached(self) -> None:
        self._cached = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._end("CACHED " if self._cached else "", [])
        elif isinstance(error, KeyboardInterrupt):
            self._end("CANCELED ", [])
        else:
            self._end("ERROR ", [*self._all, *self._lines.end()])

    def _end(self, state: str, shown: list[str]) -> None:
        """Draw the last line of the step, with its time at the end, and lines of output after it."""
        seconds = f"  {self._seconds()}"
        line = f" => {state}{output.one_line(self._title, 2)}"[
            : shutil.get_terminal_size().columns - 1 - len(seconds)
        ]
        self._screen.draw([], [line + seconds, *(f" > {line}" for line in shown)])
