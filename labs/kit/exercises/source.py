"""A learner's file as it is written: which functions are done, to do, gone. Nothing of it is run."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """`functions` maps a name to "written" or "to do"; `error` is what keeps the file from being read."""

    path: Path
    functions: dict[str, str] = field(default_factory=dict)
    error: str = ""

    def state(self, name: str) -> str:
        """ "written", "to do", "gone" (there is no such function), or "broken" (the file cannot be read)."""
        return "broken" if self.error else self.functions.get(name, "gone")


def read(path: Path) -> Source:
    """Read a file's functions. One with `raise Todo(…)` anywhere in it is to do."""
    try:
        tree = ast.parse(path.read_text(), str(path))
    except FileNotFoundError:
        return Source(path, error=f"{path}: the file is gone: make reset brings the starter back")
    except SyntaxError as error:
        text = f"\n    {error.text.strip()}" if error.text else ""
        return Source(path, error=f"{path}, line {error.lineno}: {error.msg}{text}")
    except (UnicodeDecodeError, ValueError, OSError) as error:
        return Source(path, error=f"{path}: {error}")
    return Source(
        path,
        {
            node.name: "to do" if _has_todo(node) else "written"
            for node in tree.body
            if isinstance(node, ast.FunctionDef)
        },
    )


def of_file(path: Path, name: str) -> str:
    """Return the source of a function of a file; "" if the file cannot be read or has no such function."""
    try:
        text = path.read_text()
        tree = ast.parse(text)
    except (OSError, SyntaxError, ValueError):
        return ""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return "\n".join(text.splitlines()[node.lineno - 1 : node.end_lineno])
    return ""


def without(path: Path, names: list[str]) -> str:
    """Return what a file has outside of some functions, without comments and layout; "" if it cannot be read."""
    try:
        tree = ast.parse(path.read_text())
    except (OSError, SyntaxError, ValueError):
        return ""
    tree.body = [node for node in tree.body if not isinstance(node, ast.FunctionDef) or node.name not in names]
    return ast.dump(tree)


def _has_todo(function: ast.FunctionDef) -> bool:
    return any(
        isinstance(node, ast.Raise)
        and node.exc is not None
        and "Todo" in {part.id for part in ast.walk(node.exc) if isinstance(part, ast.Name)}
        for node in ast.walk(function)
    )
