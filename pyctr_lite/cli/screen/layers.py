"""The lines of a pull or push, one for each layer, as Docker's client shows them (moby pkg/jsonmessage).

On a terminal each line is drawn anew in its place, with a bar. Elsewhere a line is printed for each new state.
"""

from __future__ import annotations

import os
import threading
import time

from pyctr_lite.cli.command import output
from pyctr_lite.formats import units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from pyctr_lite.engine.stores.images import Images
    from pyctr_lite.images.reference import Reference

_EVERY = 0.1
"""Seconds between two drawings of one line."""
_BAR = 50
_WIDE, _UNKNOWN = 110, 200
"""Columns that a terminal must have for the bar, and those of one that does not say, as in Docker."""


class Layers:
    """A function to call with a layer's name, its state, and the bytes done and in all. Safe for threads."""

    def __init__(self, fd: int = 1, *, quiet: bool = False) -> None:
        self._stream: TextIO = output.raw_stream(fd)
        self._quiet = quiet
        self._draws = os.isatty(fd) and os.environ.get("TERM") != "dumb"
        self._columns = (os.get_terminal_size(fd).columns if self._draws else 0) or _UNKNOWN
        self._lock = threading.Lock()
        self._title = ""
        self._rows: dict[str, int] = {}
        self._shown: dict[str, str] = {}
        self._times: dict[str, float] = {}

    def title(self, line: str) -> None:
        """Print a line above the layers, unless an error comes before the first of them."""
        self._title = line

    def __call__(self, name: str, state: str, done: int = 0, total: int = 0) -> None:
        """Show the state of a layer, at most ten times a second if only its bytes have changed."""
        if self._quiet:
            return
        with self._lock:
            self._print_title()
            now = time.monotonic()
            if self._shown.get(name) == state and (not total or now < self._times[name] + _EVERY):
                return
            self._shown[name], self._times[name] = state, now
            if self._draws:
                self._draw(name, state + (f" {bar(done, total, self._columns)}" if total else ""))
            elif not total:
                print(f"{name}: {state}", file=self._stream, flush=True)

    def print(self, line: str) -> None:
        """Print a line above or below all layers."""
        if not self._quiet:
            with self._lock:
                self._print_title()
                self._rows.clear()
                print(output.one_line(line, self._stream.fileno()), file=self._stream, flush=True)

    def _print_title(self) -> None:
        if self._title:
            print(output.one_line(self._title, self._stream.fileno()), file=self._stream, flush=True)
            self._title = ""

    def _draw(self, name: str, text: str) -> None:
        if name not in self._rows:
            self._rows[name] = len(self._rows)
            print(file=self._stream)
        up = len(self._rows) - self._rows[name]
        line = f"{name}: {text}"[: self._columns]
        print(f"\033[{up}A\033[2K\r{line}\r\033[{up}B", end="", file=self._stream, flush=True)


def pull(
    store: Images, reference: Reference, platform: str | None, shown: Layers, *, insecure: bool = False
) -> None:
    """Pull one image, with Docker's lines."""
    shown.title(f"{reference.digest or reference.tag}: Pulling from {reference.path}")
    pulled = store.pull(reference.canonical(), platform, shown, insecure=insecure)
    state = "Downloaded newer image" if pulled.is_new else "Image is up to date"
    shown.print(f"Digest: {pulled.digest}")
    shown.print(f"Status: {state} for {reference.familiar()}")


def bar(done: int, total: int, columns: int) -> str:
    """Return a bar and the two numbers, as jsonmessage.JSONProgress.String does."""
    sizes = f"{units.human_size(done, 4):>8}/{units.human_size(total, 4)}"
    if columns <= _WIDE:
        return sizes
    full = min(done * 100 // total, 100) // 2
    rest = " " * (_BAR - full)
    return f"[{'=' * full}>{rest}] {sizes}" if full < _BAR else f"[{'=' * full}>] {sizes}"
