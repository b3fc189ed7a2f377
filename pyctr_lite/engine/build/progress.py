"""The report of a running build. The base class reports nothing; the command line has others."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

Report = Callable[[str, str, bytes], None]
"""A function to call with a step's title, what the step does, and its output.

A step is "started", then it has "output", may be "cached", and is "done" or "failed". A "warning" has no step.
"""


class Step:
    """A step of a build, as a context manager. It is done when the context ends without an exception."""

    def __enter__(self) -> Step:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def output(self, data: bytes) -> None:
        """Show output of the step's program, or a note about the step."""

    def cached(self) -> None:
        """Note that the step's result is from the cache."""


class Progress:
    """Reports the steps of a build."""

    def step(self, title: str) -> Step:
        """Begin a step: `[build 2/5] RUN make`."""
        return Step()

    def warn(self, text: str) -> None:
        """Report something that is probably a mistake, and does not end the build."""

    def finish(self) -> None:
        """End the report, whether the build has succeeded or not."""


class Reported(Progress):
    """Calls a function for each event."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def step(self, title: str) -> Step:
        """Begin a step."""
        return _ReportedStep(title, self._report)

    def warn(self, text: str) -> None:
        """Report a warning."""
        self._report("", "warning", text.encode())


class _ReportedStep(Step):
    def __init__(self, title: str, report: Report) -> None:
        self._title, self._report = title, report
        report(title, "started", b"")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._report(self._title, "done" if error is None else "failed", b"")

    def output(self, data: bytes) -> None:
        self._report(self._title, "output", data)

    def cached(self) -> None:
        self._report(self._title, "cached", b"")
