"""A function's wrong versions: every operator at every place where it fits."""

from __future__ import annotations

import ast
import builtins
import copy
import sys
from collections.abc import Iterator
from types import CodeType, ModuleType
from typing import Any

from tests.labs.mutants import expressions, functions, statements

TOOLS = ("copy", "os", "shutil", "sys")
"""Modules that an operator may bring in."""
Way = tuple[tuple[str, int | None], ...]
"""Where a node is: from the function down, each time a field and an index in it, or None for the field itself."""


def changes(function: ast.FunctionDef, module: ModuleType) -> Iterator[tuple[str, ast.FunctionDef]]:
    """All versions that differ in what they do, by their compiled code, each with its operator's name.

    `module` is the function's own: what its names are.
    """
    seen = {_code(function)}
    for operator, changed in _changed(function, module):
        try:
            code = _code(changed)
        except SyntaxError:
            continue  # a `return` where none may be, and the like
        if code not in seen and _resolves(function, changed, module):
            seen.add(code)
            yield operator, changed


def _changed(original: ast.FunctionDef, module: ModuleType) -> Iterator[tuple[str, ast.FunctionDef]]:
    given = statements.parameters(original)
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
            for operator, new in expressions.variants(node, condition=condition, message=in_raise, given=given):
                if not _is_same_number(module, node, new):
                    yield operator, _with(original, path, new)


def _walk(node: Any, path: Way) -> Iterator[tuple[Way, Any, bool]]:
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
    """What `--explain` prints of a step, and the single words of a message: its loss is a mutant of its own."""
    if isinstance(node, ast.JoinedStr):
        part = node.values[index]
        return isinstance(part, ast.Constant) and " " in part.value.strip()
    return (
        isinstance(node, ast.Call) and ast.unparse(node.func) == "explain.step" and (field, index) == ("args", 0)
    )


def _is_same_number(module: ModuleType, old: ast.expr, new: ast.expr) -> bool:
    """Whether two expressions of constants have the same value: `O_RDONLY | O_PATH` and `O_PATH` do."""
    plain = (ast.BinOp, ast.operator, ast.Attribute, ast.Name, ast.Load, ast.Constant)
    values = []
    for each in (old, new):
        if not all(isinstance(part, plain) for part in ast.walk(each)):
            return False
        try:
            values.append(eval(ast.unparse(each), dict(vars(module))))
        except (NameError, AttributeError, TypeError):
            return False
    return type(values[0]) is type(values[1]) and values[0] == values[1]


def _is_in_raise(original: ast.FunctionDef, path: Way) -> bool:
    node: Any = original
    for name, number in path[:-1]:
        node = getattr(node, name) if number is None else getattr(node, name)[number]
        if isinstance(node, ast.Raise):
            return True
    return False


def _with(original: ast.FunctionDef, path: Way, new: Any) -> ast.FunctionDef:
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


def _with_block(original: ast.FunctionDef, path: Way, block: list[ast.stmt]) -> ast.FunctionDef:
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


def local_names(function: ast.FunctionDef) -> set[str]:
    """The names that a function makes, its parameters and its own name."""
    stored = {
        node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    handled = {node.name for node in ast.walk(function) if isinstance(node, ast.ExceptHandler) and node.name}
    return stored | handled | set(statements.parameters(function)) | {function.name}


def _resolves(original: ast.FunctionDef, changed: ast.FunctionDef, module: ModuleType) -> bool:
    """Whether every name that an operator has brought in means something: a NameError teaches nothing."""
    old = {ast.unparse(node) for node in ast.walk(original) if isinstance(node, ast.Name | ast.Attribute)}
    known = {*local_names(changed), *vars(builtins), *TOOLS, *old}
    for node in ast.walk(changed):
        if isinstance(node, ast.Name) and node.id not in known:
            return False
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and ast.unparse(node) not in old:
            owner = vars(module).get(node.value.id) or sys.modules.get(node.value.id)
            if isinstance(owner, ModuleType) and not hasattr(owner, node.attr):
                return False
    return True
