"""Two levels of help in a learner's file: guided has the steps as comments, bare has the docstring alone.

A starter is the guided form. The bare form is derived from it: the comments in a function's body go, and a mark on
the line of its signature says so. The mark stays in the file, so a function keeps its level once it is written.
"""

from __future__ import annotations

import ast
import io
import os
import tokenize
import tomllib
from pathlib import Path

from labs.kit.exercises import manifest, source

LEVELS = ("guided", "bare")
_MARK = "  # bare"


class NoSuchLevel(LookupError):
    """A level that does not exist: one line, with those that do."""


def chosen(path: Path = manifest.LABS / "labs.toml") -> str:
    """Return LEVEL of the environment, else the class's level (`level` in labs.toml). Raises NoSuchLevel."""
    with path.open("rb") as file:
        level: str = os.environ.get("LEVEL") or tomllib.load(file).get("level", LEVELS[0])
    if level not in LEVELS:
        raise NoSuchLevel(f"there is no level {level}: LEVEL is {' or '.join(LEVELS)}")
    return level


def starter(exercise: manifest.Exercise, level: str) -> str:
    """Return an exercise's function as it is given out at a level."""
    function = source.of_file(manifest.STARTERS / exercise.place, exercise.name)
    return function if level == "guided" else _bare(function)


def file(place: str, level: str) -> str:
    """Return the text of a starter file (`place` is below the labs' directory) at a level."""
    text = (manifest.STARTERS / place).read_text()
    for exercise in manifest.exercises():
        if exercise.place == place:
            text = text.replace(starter(exercise, "guided"), starter(exercise, level))
    return text


def of(path: Path, name: str) -> str:
    """Return the level at which a function of a file was given out; "" if there is no such function."""
    function = source.of_file(path, name)
    signature = function.partition('"""')[0]
    return "" if not function else "bare" if _MARK in signature else "guided"


def _bare(function: str) -> str:
    [node] = ast.parse(function).body
    assert isinstance(node, ast.FunctionDef)
    docstring = node.body[0]
    comments = {
        token.start[0]
        for token in tokenize.generate_tokens(io.StringIO(function).readline)
        if token.type == tokenize.COMMENT and token.line.lstrip().startswith("#")
    }
    lines = function.splitlines()
    lines[docstring.lineno - 2] += _MARK
    return "\n".join(line for number, line in enumerate(lines, 1) if number not in comments)
