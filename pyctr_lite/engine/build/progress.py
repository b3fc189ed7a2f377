"""The report of a running build. The base class reports nothing; the command line has others."""

from __future__ import annotations

from types import TracebackType


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
