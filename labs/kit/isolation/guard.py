"""The engine's source with one function taken out: in its place stands one that says so.

Wherever a learner's function looks for the engine's own, in the module, in its file, or by inspect, it finds this.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from labs.kit.exercises import source

if TYPE_CHECKING:
    from labs.kit.exercises import manifest


def without(text: str, exercise: manifest.Exercise) -> str:
    """Return a module's source in which the exercise's function only raises ReferenceCalled."""
    function = source.find(ast.parse(text), exercise.function.partition(":")[2])
    lines = text.splitlines(keepends=True)
    first = function.body[1] if ast.get_docstring(function) is not None else function.body[0]
    indent = " " * function.body[0].col_offset
    body = (
        f"{indent}from labs.kit import ReferenceCalled\n\n"
        f'{indent}raise ReferenceCalled("{exercise.id}", "{exercise.name}")\n'
    )
    return "".join([*lines[: first.lineno - 1], body, *lines[function.end_lineno :]])
