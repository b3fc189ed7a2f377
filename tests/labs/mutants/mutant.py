"""Every mutant of an exercise's function, as the file that a learner would have."""

from __future__ import annotations

import ast
import copy
import difflib
import functools
import hashlib
import importlib
import inspect
import textwrap
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from labs.kit.exercises import manifest
from labs.kit.exercises.source import of_file
from tests.labs.mutants import kin, mutate

SOLVED = Path(__file__).parent.parent / "solved"
BASES = ("engine", "solved")
TOOLS = "".join(f"import {name}\n" for name in mutate.TOOLS)


@dataclass(frozen=True)
class Mutant:
    """One wrong version of a function. Its name is what differs: the lines `before` and `after`, not indented."""

    exercise: str
    base: str
    operator: str
    before: str
    after: str
    diff: str
    file: str
    nth: int = 1
    """Which of several mutants with the same `before` and `after` it is, from the top."""

    @property
    def key(self) -> str:
        """A short name, for a file of results."""
        return hashlib.sha256(f"{self.exercise}|{self.before}|{self.after}|{self.nth}".encode()).hexdigest()[:16]


@functools.cache
def mutants_of(exercise: manifest.Exercise, base: str) -> tuple[Mutant, ...]:
    """All wrong versions of an exercise's function, in the order of its lines."""
    right = function(exercise, base)
    text = ast.unparse(right)
    found: list[Mutant] = []
    for operator, changed in mutate.changes(right, _module(exercise)):
        before, after, diff = difference(text, ast.unparse(changed))
        nth = 1 + sum((each.before, each.after) == (before, after) for each in found)
        file = learners_file(exercise, base, changed)
        found.append(Mutant(exercise.id, base, operator, before, after, diff, file, nth))
    return tuple(found)


def original(exercise: manifest.Exercise, base: str) -> Mutant:
    """The function as it is: its checks have to pass, or the others' failures mean nothing."""
    return Mutant(exercise.id, base, "", "", "", "", learners_file(exercise, base, function(exercise, base)))


def function(exercise: manifest.Exercise, base: str) -> ast.FunctionDef:
    """The engine's own function or the solved one, without its docstring and with octal numbers as such."""
    if base == "solved":
        text = of_file(SOLVED / exercise.place, exercise.name)
    else:
        text = textwrap.dedent(inspect.getsource(vars(exercise.owner())[exercise.name]))
    [found] = ast.parse(text).body
    assert isinstance(found, ast.FunctionDef)
    if ast.get_docstring(found):
        found.body = found.body[1:]
    for node in ast.walk(found):
        if isinstance(node, ast.Constant) and type(node.value) is int:
            written = ast.get_source_segment(text, node) or ""
            node.value = kin.Octal(node.value) if written.startswith("0o") else node.value
    return found


def learners_file(exercise: manifest.Exercise, base: str, changed: ast.FunctionDef) -> str:
    """The starter with this function in the place of its own.

    The engine's function finds what its own module has through that module, as a learner's does.
    """
    path = manifest.STARTERS / exercise.place
    starter = of_file(path, exercise.name)
    assert starter, f"{exercise.place} has no {exercise.name}"
    if base == "solved":
        return path.read_text().replace(starter, f"{TOOLS}\n{ast.unparse(changed)}")
    module = _module(exercise)
    imports = [TOOLS, f"import {module.__name__} as engine_module\n"]
    local = mutate.local_names(changed)

    class Qualify(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            if node.id in local or node.id not in vars(module):
                return node
            if isinstance(value := vars(module)[node.id], ModuleType):
                if f"import {node.id}\n" not in TOOLS:
                    imports.append(f"import {value.__name__} as {node.id}\n")
                return node
            return ast.Attribute(ast.Name("engine_module", ast.Load()), node.id, node.ctx)

    qualified = Qualify().visit(copy.deepcopy(changed))
    for argument in ast.walk(qualified.args):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    qualified.returns = None
    for each in ast.walk(qualified):
        if isinstance(each, ast.AnnAssign):
            each.annotation = ast.Name("object", ast.Load())
    text = "".join(dict.fromkeys(imports)) + "\n" + ast.unparse(qualified)
    return path.read_text().replace(starter, text)


def _module(exercise: manifest.Exercise) -> ModuleType:
    return importlib.import_module(exercise.function.partition(":")[0])


def difference(before: str, after: str) -> tuple[str, str, str]:
    """The lines that differ, without their indentation, and the difference to read."""
    gone, new = _lines(before, after, 0)
    if gone == new or not gone:  # moved or put around: the neighbours say past what, and around what
        gone, new = _lines(before, after, 1)
    shown = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2)
    return gone, new, textwrap.dedent("\n".join(line for line in list(shown)[2:] if not line.startswith("@@")))


def _lines(before: str, after: str, neighbours: int) -> tuple[str, str]:
    bare = [[line.strip() for line in text.splitlines()] for text in (before, after)]
    lines = [line for line in list(difflib.unified_diff(*bare, lineterm="", n=neighbours))[2:] if line[0] != "@"]
    return tuple("\n".join(line[1:] for line in lines if line[0] in signs) for signs in (" -", " +"))
