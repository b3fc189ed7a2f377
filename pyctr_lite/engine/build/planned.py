"""A step of a build that is checked, and waits to run."""

from __future__ import annotations

from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctr_lite.engine.build.progress import Step


@dataclass
class Planned:
    """A checked step: its title in the report, its line in the history, and the function that runs it.

    `run` gets the report of the step, and returns the time of the layer that the step made, "" if it made none.
    """

    title: str
    history: str
    run: Callable[[Step], str]
