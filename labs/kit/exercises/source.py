"""A learner's file as it is written: which functions are done, to do, or unfit. Nothing of it is run."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labs.kit.exercises import manifest

MAX_BYTES = 1 << 20
"""A learner's file larger than this is refused."""


def state(labs: Path, exercise: manifest.Exercise) -> tuple[str, str]:
    """An exercise's state in a labs directory, and what is wrong with it.

    "written", "to do", "gone" (there is no such function), "unfit" (the engine cannot call what is there), or
    "broken" (the file cannot be read).
    """
    from labs.kit.exercises import manifest

    tree, problem = parse(labs / exercise.place)
    if tree is None:
        return "broken", problem
    starter, _ = parse(manifest.STARTERS / exercise.place)
    return _state(tree, starter, exercise.name, exercise.place)


def parse(path: Path) -> tuple[ast.Module | None, str]:
    """A file's syntax tree, or None and one line that says why there is none."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return None, f"{path}: larger than {MAX_BYTES >> 20} MiB"
        return ast.parse(path.read_text(), str(path)), ""
    except FileNotFoundError:
        return None, f"{path}: the file is gone: make reset brings the starter back"
    except SyntaxError as error:
        text = f"\n    {error.text.strip()}" if error.text else ""
        return None, f"{path}, line {error.lineno}: {error.msg}{text}"
    except (UnicodeDecodeError, ValueError, OSError, RecursionError, MemoryError) as error:
        return None, f"{path}: {error}"


def of_file(path: Path, name: str) -> str:
    """Return the source of a function of a file; "" if the file cannot be read or has no such function."""
    tree, _ = parse(path)
    for node in tree.body if tree else ():
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return "\n".join(path.read_text().splitlines()[node.lineno - 1 : node.end_lineno])
    return ""


def find(tree: ast.AST, path: str) -> ast.FunctionDef:
    """Return a function of a syntax tree by its path ("name", or "Class.name"). Raises LookupError."""
    first, _, rest = path.partition(".")
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == first:
            return node if isinstance(node, ast.FunctionDef) else find(node, rest)
    raise LookupError(path)


def without(path: Path, names: list[str]) -> str:
    """Return what a file has outside of some functions, without comments and layout; "" if it cannot be read."""
    tree, _ = parse(path)
    if tree is None:
        return ""
    tree.body = [node for node in tree.body if not isinstance(node, ast.FunctionDef) or node.name not in names]
    return ast.dump(tree)


def _state(tree: ast.Module, starter: ast.Module | None, name: str, place: str) -> tuple[str, str]:
    binding = _last_binding(tree, name)
    if binding is None:
        return "gone", _why_gone(tree, starter, name, place)
    if isinstance(binding, ast.FunctionDef):
        wanted = _last_binding(starter, name) if starter else None
        if _has_todo(binding):
            return "to do", ""
        if _yields(binding):
            return (
                "unfit",
                f"{place}, line {binding.lineno}: {name} has a `yield`: a call only makes a generator",
            )
        if isinstance(wanted, ast.FunctionDef) and _shape(binding) != _shape(wanted):
            return "unfit", (
                f"{place}, line {binding.lineno}: the engine calls {name}({_parameters(wanted)}), and yours is "
                f"{name}({_parameters(binding)}): keep the starter's signature"
            )
        return "written", ""
    return "unfit", f"{place}, line {binding.lineno}: {_why_unfit(binding, name)}"


def _last_binding(tree: ast.Module, name: str) -> ast.stmt | None:
    """The last statement at the top of a file that binds a name."""
    found: ast.stmt | None = None
    for node in tree.body:
        if name in _bound(node):
            found = node
    return found


def _bound(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name for alias in node.names}
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}
    if isinstance(node, ast.If | ast.Try | ast.With | ast.For | ast.While):
        return set().union(*(_bound(part) for part in ast.iter_child_nodes(node) if isinstance(part, ast.stmt)))
    return set()


def _why_unfit(node: ast.stmt, name: str) -> str:
    if isinstance(node, ast.AsyncFunctionDef):
        return (
            f"{name} is an `async def`: a call makes a coroutine, and runs nothing. The engine needs a plain `def`"
        )
    if isinstance(node, ast.ClassDef):
        return f"{name} is a class; the engine calls a function"
    if isinstance(node, ast.Import | ast.ImportFrom):
        return f"{name} is imported: this is another's function, write yours"
    if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Lambda):
        return f"{name} is a lambda: write `def {name}(…)`, so that a failure can name your line"
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        return f"{name} is assigned, not defined: write `def {name}(…)`"
    return f"{name} is defined inside of another statement: put `def {name}(…)` at the top level"


def _why_gone(tree: ast.Module, starter: ast.Module | None, name: str, place: str) -> str:
    known = {node.name for node in starter.body if isinstance(node, ast.FunctionDef)} if starter else set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
            return f"{place}, line {node.lineno}: {name} is inside something else: put it at the top level"
    others = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name not in known]
    hint = f": is it {others[0].name} now (line {others[0].lineno})? Keep the name" if len(others) == 1 else ""
    return f"{place} has no function {name}{hint}"


def _shape(function: ast.FunctionDef) -> str:
    """Parameters as the engine's calls see them: those without a default are given in their order, not by name."""
    bare = _copy(function)
    positional = [*bare.args.posonlyargs, *bare.args.args]
    for number, argument in enumerate(positional[: len(positional) - len(bare.args.defaults)]):
        argument.arg = f"_{number}"
    return _parameters(bare)


def _copy(function: ast.FunctionDef) -> ast.FunctionDef:
    bare = ast.parse(ast.unparse(function)).body[0]
    assert isinstance(bare, ast.FunctionDef)
    return bare


def _parameters(function: ast.FunctionDef) -> str:
    """Parameters without annotations: `a`, `*`, `b=…`."""
    bare = _copy(function)
    for argument in ast.walk(bare.args):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    return ast.unparse(bare.args)


def _yields(function: ast.FunctionDef) -> bool:
    inner = {
        id(part)
        for node in ast.walk(function)
        if node is not function and _is_scope(node)
        for part in ast.walk(node)
    }
    return any(
        isinstance(node, ast.Yield | ast.YieldFrom) and id(node) not in inner for node in ast.walk(function)
    )


def _is_scope(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


def _has_todo(function: ast.FunctionDef) -> bool:
    return any(
        isinstance(node, ast.Raise)
        and node.exc is not None
        and "Todo" in {part.id for part in ast.walk(node.exc) if isinstance(part, ast.Name)}
        for node in ast.walk(function)
    )
