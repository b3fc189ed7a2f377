"""What can go wrong with a function as a whole: state that stays, and what belongs to the caller."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator

from tests.labs.mutants import statements

Variants = Iterator[tuple[str, ast.FunctionDef]]


def variants(function: ast.FunctionDef) -> Variants:
    """All variants of one function as a whole."""
    for node in function.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value and _is_fresh(node.value):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name):
                yield "state kept between calls", _remembering(function, target.id)
    for name, type in statements.parameters(function).items():
        if type.startswith("int") and (name.endswith("fd") or name in ("upper", "directory")):
            yield "caller's descriptor closed", _closing(function, name)


def _is_fresh(value: ast.expr) -> bool:
    match value:
        case ast.List(elts=[]) | ast.Dict(keys=[]) | ast.Constant():
            return True
        case ast.Call(func=ast.Name(id="set" | "dict" | "list"), args=[]):
            return True
    return False


def _remembering(function: ast.FunctionDef, name: str) -> ast.FunctionDef:
    """A local variable begins a call as the last call has left it: what a global does, or a mutable default."""
    kept = ast.Attribute(ast.Name(function.name, ast.Load()), name, ast.Load())

    class Keep(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return ast.Attribute(kept.value, name, node.ctx) if node.id == name else node

        def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
            return self.visit(ast.Assign([node.target], node.value)) if node.value else node

        def visit_Assign(self, node: ast.Assign) -> ast.stmt:
            first = any(isinstance(target, ast.Name) and target.id == name for target in node.targets)
            if first and _is_fresh(node.value):
                value = ast.unparse(node.value)
                return ast.parse(f"{ast.unparse(kept)} = {function.name}.__dict__.get({name!r}, {value})").body[0]
            return self.generic_visit(node)

    return ast.fix_missing_locations(Keep().visit(copy.deepcopy(function)))


def _closing(function: ast.FunctionDef, name: str) -> ast.FunctionDef:
    changed = copy.deepcopy(function)
    changed.body = [ast.Try(changed.body, [], [], ast.parse(f"os.close({name})").body)]
    return ast.fix_missing_locations(changed)
