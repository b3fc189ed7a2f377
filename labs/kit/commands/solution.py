"""The runtime's own function beside the learner's, on request."""

from __future__ import annotations

import ast
import inspect
import textwrap
from pathlib import Path

from rich.columns import Columns
from rich.console import Group
from rich.panel import Panel
from rich.syntax import Syntax

from labs.kit import screen
from labs.kit.exercises import manifest


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
            (theirs, f"the runtime's: {exercise.function}"),
        )
    ]
    console.print(Columns(panels, equal=True, expand=True) if console.width >= 180 else Group(*panels))
    return 0


def of_file(path: Path, name: str) -> str:
    """The source of a function in a file; "" where there is none or the file cannot be read."""
    try:
        text = path.read_text()
        tree = ast.parse(text)
    except (OSError, SyntaxError, ValueError):
        return ""
    found = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)
    return next((ast.get_source_segment(text, node) or "" for node in found), "")
