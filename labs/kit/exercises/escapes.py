"""The replays of published escapes (labs/escapes): what a fix changes in the engine's own functions."""

from __future__ import annotations

import ast
import difflib
import textwrap
from pathlib import Path

from labs.kit.exercises import manifest, source, swap

ESCAPES = manifest.LABS / "escapes"


def names() -> list[str]:
    """List the escapes: the directories below labs/escapes, which are values of `--labs`."""
    return sorted(path.parent.name for path in ESCAPES.glob(f"*/{swap.UNFIXED}"))


def replaces(name: str) -> dict[str, str]:
    """Return the functions that an escape puts into the engine: its own name, and the engine's "module:name"."""
    tree = ast.parse((ESCAPES / name / swap.UNFIXED).read_text())
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "REPLACES":
            found: dict[str, str] = ast.literal_eval(node.value)
            return found
    raise LookupError(f"{name} replaces nothing")


def fix(name: str, *functions: str) -> str:
    """Return the fix of an escape as a diff, without docstrings: of all its functions, or of those named."""
    parts = []
    for unfixed, function in replaces(name).items():
        if functions and unfixed not in functions:
            continue
        module, _, own = function.partition(":")
        path = manifest.CHECKOUT / f"{module.replace('.', '/')}.py"
        before, after = _lines(ESCAPES / name / swap.UNFIXED, unfixed), _lines(path, own)
        changes = list(difflib.unified_diff(before, after, lineterm="", n=len(before)))[3:]
        parts += [f"{path.relative_to(manifest.CHECKOUT)}, {own}:", *changes]
    return "\n".join(parts)


def _lines(path: Path, function: str) -> list[str]:
    """Return the lines of a function without its docstring, from the first column on."""
    text = path.read_text()
    node = source.find(ast.parse(text), function)
    lines = text.splitlines()[node.lineno - 1 : node.end_lineno]
    if ast.get_docstring(node):
        first, last = node.body[0].lineno - node.lineno, (node.body[0].end_lineno or 0) - node.lineno
        del lines[first : last + 1]
    return textwrap.dedent("\n".join(lines)).splitlines()
