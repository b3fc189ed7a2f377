"""Every mutant of an exercise's function, as the file that a learner would have."""

from __future__ import annotations

import ast
import copy
import difflib
import functools
import hashlib
import importlib
import inspect
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from labs.kit.commands.solution import of_file
from labs.kit.exercises import manifest
from tests.labs.mutants import expressions, functions, kin, statements

SOLVED = Path(__file__).parent.parent / "solved"
BASES = ("engine", "solved")
TOOLS = "import copy\nimport os\nimport shutil\nimport sys\n"
"""Modules that an operator may bring in."""
Path_ = tuple[tuple[str, int | None], ...]


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
def mutants(exercise: manifest.Exercise, base: str) -> tuple[Mutant, ...]:
    """All that differ in what they do, by their compiled code; in the order of the function's lines."""
    right = function(exercise, base)
    text = ast.unparse(right)
    seen = {_code(right)}
    found: list[Mutant] = []
    for operator, changed in _changed(exercise, right):
        try:
            new = ast.unparse(changed)
            code = _code(changed)
        except SyntaxError:
            continue  # a `return` where none may be, and the like
        if code in seen or not _resolves(exercise, base, right, changed):
            continue
        seen.add(code)
        before, after, diff = _difference(text, new)
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
    local = _local_names(changed)

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


def _local_names(changed: ast.FunctionDef) -> set[str]:
    stored = {
        node.id for node in ast.walk(changed) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    handled = {node.name for node in ast.walk(changed) if isinstance(node, ast.ExceptHandler) and node.name}
    return stored | handled | set(statements.parameters(changed)) | {changed.name}


def _changed(exercise: manifest.Exercise, original: ast.FunctionDef) -> Iterator[tuple[str, ast.FunctionDef]]:
    yield from functions.variants(original)
    for path, node, condition in _walk(original, ()):
        if isinstance(node, list):
            for index, pair in statements.swaps(node):
                yield "statements swapped", _with(original, path, [*node[:index], *pair, *node[index + 2 :]])
        elif isinstance(node, ast.stmt):
            for operator, block in statements.variants(node, original):
                yield operator, _with_block(original, path, block)
        else:
            in_raise = _is_in_raise(original, path)
            for operator, new in expressions.variants(node, condition=condition, message=in_raise):
                if not _is_same_number(exercise, node, new):
                    yield operator, _with(original, path, new)


def _walk(node: Any, path: Path_) -> Iterator[tuple[Path_, Any, bool]]:
    """Every block, statement and expression with its path and whether it is a condition; no types, no targets."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "pattern"):
            continue
        many = isinstance(value, list)
        if many and name in ("body", "orelse", "finalbody") and value and isinstance(value[0], ast.stmt):
            yield (*path, (name, None)), value, False
        for index, each in enumerate(value if many else [value]):
            if not isinstance(each, ast.AST) or _is_for_people(node, name, index):
                continue
            here = (*path, (name, index if many else None))
            if isinstance(each, ast.stmt) or (isinstance(each, ast.expr) and not _is_stored(each)):
                yield here, each, name in ("test", "ifs", "guard")
            yield from _walk(each, here)


def _is_stored(node: ast.expr) -> bool:
    return isinstance(getattr(node, "ctx", None), ast.Store)


def _is_for_people(node: ast.AST, field: str, index: int) -> bool:
    """What `--explain` prints of a step."""
    return (
        isinstance(node, ast.Call) and ast.unparse(node.func) == "explain.step" and (field, index) == ("args", 0)
    )


def _is_same_number(exercise: manifest.Exercise, old: ast.expr, new: ast.expr) -> bool:
    """Whether two expressions of constants have the same value: `O_RDONLY | O_PATH` and `O_PATH` do."""
    plain = (ast.BinOp, ast.operator, ast.Attribute, ast.Name, ast.Load, ast.Constant)
    values = []
    for each in (old, new):
        if not all(isinstance(part, plain) for part in ast.walk(each)):
            return False
        try:
            values.append(eval(ast.unparse(each), dict(vars(_module(exercise)))))
        except (NameError, AttributeError, TypeError):
            return False
    return type(values[0]) is type(values[1]) and values[0] == values[1]


def _is_in_raise(original: ast.FunctionDef, path: Path_) -> bool:
    node: Any = original
    for name, number in path[:-1]:
        node = getattr(node, name) if number is None else getattr(node, name)[number]
        if isinstance(node, ast.Raise):
            return True
    return False


def _with(original: ast.FunctionDef, path: Path_, new: Any) -> ast.FunctionDef:
    changed = copy.deepcopy(original)
    *way, (field, index) = path
    node: Any = changed
    for name, number in way:
        node = getattr(node, name) if number is None else getattr(node, name)[number]
    if index is None:
        setattr(node, field, copy.deepcopy(new))
    else:
        getattr(node, field)[index] = copy.deepcopy(new)
    return ast.fix_missing_locations(changed)


def _with_block(original: ast.FunctionDef, path: Path_, block: list[ast.stmt]) -> ast.FunctionDef:
    *way, (field, index) = path
    assert index is not None
    node: Any = original
    for name, number in way:
        node = getattr(node, name) if number is None else getattr(node, name)[number]
    old = getattr(node, field)
    new = [*old[:index], *block, *old[index + 1 :]]
    if not new and field != "orelse":
        new = [ast.Pass()]
    return _with(original, (*way, (field, None)), new)


def _code(changed: ast.FunctionDef) -> tuple[Any, ...]:
    """What the compiler makes of it: two that only look different are the same."""
    compiled = compile(ast.unparse(changed), "", "exec", optimize=1)
    return _facts(compiled)


def _facts(code: CodeType) -> tuple[Any, ...]:
    constants = tuple(
        _facts(value) if isinstance(value, CodeType) else (type(value).__name__, repr(value))
        for value in code.co_consts
    )
    return code.co_code, constants, code.co_names, code.co_varnames, code.co_exceptiontable


def _resolves(exercise: manifest.Exercise, base: str, original: ast.FunctionDef, changed: ast.FunctionDef) -> bool:
    """Whether every name that an operator has brought in means something: a NameError teaches nothing."""
    module = _module(exercise) if base == "engine" else None
    old = {ast.unparse(node) for node in ast.walk(original) if isinstance(node, ast.Name | ast.Attribute)}
    known = _local_names(changed) | set(
        vars(__builtins__) if isinstance(__builtins__, ModuleType) else __builtins__
    )
    known |= {"os", "sys", "shutil", "copy"} | {
        node.id for node in ast.walk(original) if isinstance(node, ast.Name)
    }
    if module is not None:
        known |= set(vars(module))
    for node in ast.walk(changed):
        if isinstance(node, ast.Name) and node.id not in known:
            return False
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and ast.unparse(node) not in old:
            owner = vars(_module(exercise)).get(node.value.id) or sys.modules.get(node.value.id)
            if isinstance(owner, ModuleType) and not hasattr(owner, node.attr):
                return False
    return True


def _difference(before: str, after: str) -> tuple[str, str, str]:
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
