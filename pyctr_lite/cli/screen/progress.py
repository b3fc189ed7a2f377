"""Progress bar that counts bytes, shown on a terminal after one second and erased when done.

rich honours NO_COLOR and terminals without colours.
"""

from __future__ import annotations

import os
import time
from types import TracebackType

from pyctr_lite import thirdparty
from pyctr_lite.cli.command import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

AFTER = 1.0
"""Seconds: an action that ends sooner shows no bar."""
_EVERY = 0.1


class Progress:
    """A context manager whose `watch` returns a stream that counts its bytes. The bar is labelled `verb`."""

    def __init__(self, verb: str, *, quiet: bool = False) -> None:
        self.verb = verb
        self._shows = not quiet and os.isatty(2) and os.environ.get("TERM") != "dumb"
        self._began = time.monotonic()
        self._next = self._began + AFTER
        self._done, self._total = 0, 0
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def watch(self, stream: Any) -> Any:
        """Return a stream that counts its bytes, or the stream itself if no bar is shown.

        The total is the size of a regular file; of any other stream it is not known.
        """
        if not self._shows:
            return stream
        try:
            self._total = os.fstat(stream.fileno()).st_size
        except (OSError, AttributeError, ValueError):
            pass  # not a file: the total is not known
        return _Counted(stream, self._count)

    def _count(self, size: int) -> None:
        self._done += size
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _EVERY
        if self._bar is None:
            self._start()
        self._bar.update(self._task, completed=self._done)
        self._bar.refresh()

    def _start(self) -> None:
        thirdparty.enable()
        from rich import console, progress

        columns = [
            progress.TextColumn(self.verb),
            progress.BarColumn(),
            progress.DownloadColumn(),
            progress.TransferSpeedColumn(),
        ]
        screen = console.Console(file=output.raw_stream(2))
        # No refresh thread: the process may fork. No redirection: our own streams make hostile text safe.
        self._bar = progress.Progress(
            *columns,
            console=screen,
            transient=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._bar.add_task(self.verb, total=self._total or None)
        self._bar.start()


class _Counted:
    """A stream that counts the bytes read and written; everything else is the stream's own."""

    def __init__(self, stream: Any, count: Any) -> None:
        self._stream, self._count = stream, count

    def read(self, size: int = -1, /) -> bytes:
        """Read, and count the bytes."""
        data: bytes = self._stream.read(size)
        self._count(len(data))
        return data

    def write(self, data: bytes, /) -> int:
        """Write, and count the bytes."""
        written: int = self._stream.write(data)
        self._count(len(data))
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
