"""The runtime's own function beside the learner's, on request."""

from __future__ import annotations

import inspect
import textwrap
from pathlib import Path

from rich.columns import Columns
from rich.console import Group
from rich.panel import Panel
from rich.syntax import Syntax

from labs.kit import screen
from labs.kit.exercises import manifest
from labs.kit.exercises.source import of_file


def show(id: str, labs: Path) -> int:
    """Print both; side by side where the terminal is wide enough."""
    exercise = manifest.find(id)
    console = screen.console()
    theirs = inspect.getsource(vars(exercise.owner())[exercise.name])
    mine = of_file(labs / exercise.place, exercise.name) or "# there is none"
    panels = [
        Panel(Syntax(textwrap.dedent(text), "python", word_wrap=True), title=title, title_align="left")
        for text, title in (
            (mine, f"yours: labs/{exercise.place}"),
            (theirs, f"the engine's: {exercise.function}"),
        )
    ]
    console.print(Columns(panels, equal=True, expand=True) if console.width >= 180 else Group(*panels))
    return 0
