"""The engine's source with one function taken out: in its place stands one that says so.

Wherever a learner's function looks for the engine's own, in the module, in its file, or by inspect, it finds this.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labs.kit.exercises import manifest


def without(source: str, exercise: manifest.Exercise) -> str:
    """Return a module's source in which the exercise's function only raises ReferenceCalled."""
    path = exercise.function.partition(":")[2].split(".")
    function = _find(ast.parse(source), path)
    lines = source.splitlines(keepends=True)
    first = function.body[1] if ast.get_docstring(function) is not None else function.body[0]
    indent = " " * function.body[0].col_offset
    body = (
        f"{indent}from labs.kit import ReferenceCalled\n\n"
        f'{indent}raise ReferenceCalled("{exercise.id}", "{exercise.name}")\n'
    )
    return "".join([*lines[: first.lineno - 1], body, *lines[function.end_lineno :]])


def _find(tree: ast.AST, path: list[str]) -> ast.FunctionDef:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == path[0]:
            return node if isinstance(node, ast.FunctionDef) else _find(node, path[1:])
    raise LookupError(".".join(path))
