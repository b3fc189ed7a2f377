"""What can go wrong with a statement, or with two of them: for each the statements that stand there instead."""

from __future__ import annotations

import ast
import copy
import itertools
from collections.abc import Iterator

from tests.labs.mutants import expressions, kin

Block = list[ast.stmt]
Variants = Iterator[tuple[str, Block]]
"""Pairs of an operator's name and the new statements; none at all where the statement is left out."""


def variants(node: ast.stmt, function: ast.FunctionDef) -> Variants:
    """All variants of one statement, not of what is in it."""
    if _can_go(node, function):
        yield "statement deleted", []
    match node:
        case ast.Expr(value=ast.Call()) if _may_fail(node.value, function):
            passed_over = ast.ExceptHandler(ast.Name("Exception", ast.Load()), None, [ast.Pass()])
            yield "error passed over", [ast.Try([node], [passed_over], [], [])]
        case ast.AugAssign():
            yield from _augmented(node)
        case ast.Return(value=ast.expr()):
            yield "return value dropped", [ast.Return(ast.Constant(None))]
        case ast.If():
            yield from _if(node)
        case ast.For():
            yield from _for(node, function)
        case ast.While():
            yield "loop made once", [ast.If(node.test, [*_without_jumps(node.body)], [])]
        case ast.Try():
            yield from _try(node)
        case ast.With():
            yield from _with(node)
        case ast.Match():
            for index in range(len(node.cases)):
                fewer = [*node.cases[:index], *node.cases[index + 1 :]]
                if fewer:
                    yield "case dropped", [ast.Match(node.subject, fewer)]
        case ast.Break():
            yield "break and continue", [ast.Continue()]
        case ast.Continue():
            yield "break and continue", [ast.Break()]
            yield "return for continue", [ast.Return(None)]
        case ast.Raise(exc=None):
            yield "return for raise", [ast.Return(None)]


def swaps(block: Block) -> Iterator[tuple[int, Block]]:
    """Two neighbours in the other order, where that may matter and no name is needed before it is made."""
    jumps = (ast.Return, ast.Raise, ast.Continue, ast.Break)
    for index, (first, second) in enumerate(itertools.pairwise(block)):
        if isinstance(first, jumps) or isinstance(second, jumps) or _only_names(first) or _only_names(second):
            continue
        if not _stored(first) & (_loaded(second) | _stored(second)):
            yield index, [second, first]


def _only_names(node: ast.stmt) -> bool:
    """Whether a statement does nothing but give a name to a value."""
    return (
        isinstance(node, ast.Assign | ast.AnnAssign)
        and not any(isinstance(part, ast.Call) for part in ast.walk(node))
        and all(isinstance(each, ast.Name) for each in getattr(node, "targets", [getattr(node, "target", None)]))
    )


def _stored(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}


def _loaded(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)}


def parameters(function: ast.FunctionDef) -> dict[str, str]:
    """A function's parameters and their types."""
    arguments = function.args
    return {
        each.arg: ast.unparse(each.annotation) if each.annotation else ""
        for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    }


def _can_go(node: ast.stmt, function: ast.FunctionDef) -> bool:
    """Whether something else than a NameError comes of leaving it out."""
    if isinstance(node, ast.Pass | ast.Nonlocal | ast.Global):
        return False
    if isinstance(node, ast.For | ast.With | ast.Try | ast.If | ast.While | ast.AugAssign):
        made = _stored(node) if not isinstance(node, ast.AugAssign) else set()
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        made = _stored(node)
    else:
        return True
    others = set(parameters(function))
    for each in ast.walk(function):
        if isinstance(each, ast.Assign | ast.AnnAssign | ast.For) and each is not node:
            inside = {id(part) for part in ast.walk(node)}
            if id(each) not in inside:
                others |= _stored(each.target if isinstance(each, ast.For) else each)
    needed = {
        name
        for each in ast.walk(function)
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)
        for name in [each.id]
        if id(each) not in {id(part) for part in ast.walk(node)}
    }
    return not (made & needed) - others


def _may_fail(call: ast.Call, function: ast.FunctionDef) -> bool:
    """Not so what is called on a variable, as `lines.append`."""
    owner = call.func.value if isinstance(call.func, ast.Attribute) else call.func
    return ast.unparse(call.func) not in ("os._exit", "time.sleep") and not (
        isinstance(owner, ast.Name) and owner.id in _stored(function)
    )


def _augmented(node: ast.AugAssign) -> Variants:
    target = copy.deepcopy(node.target)
    yield "assigned, not added", [ast.Assign([target], node.value)]
    for new in kin.BINARY.get(type(node.op), ()):
        yield "operator swapped", [ast.AugAssign(node.target, new(), node.value)]


def _if(node: ast.If) -> Variants:
    if node.orelse and not isinstance(node.orelse[0], ast.If):
        yield "else dropped", [ast.If(node.test, node.body, [])]
    if node.orelse and isinstance(node.orelse[0], ast.If):
        yield "if for elif", [ast.If(node.test, node.body, []), *node.orelse]


def _for(node: ast.For, function: ast.FunctionDef) -> Variants:
    for name, items in expressions.loops(node.iter):
        yield name, [ast.For(node.target, items, node.body, node.orelse)]
    if isinstance(node.iter, ast.Name) and parameters(function).get(node.iter.id, "").startswith("list"):
        emptied = expressions.made("[X.pop(0) for _ in range(len(X))]", X=node.iter)
        yield "caller's list emptied", [ast.For(node.target, emptied, node.body, node.orelse)]
    called = node.iter.func if isinstance(node.iter, ast.Call) else None
    owner = called.value if isinstance(called, ast.Attribute) and called.attr == "items" else None
    if owner and ast.unparse(owner) in parameters(function):
        emptied = expressions.made("[X.popitem() for _ in range(len(X))]", X=owner)
        yield "caller's dictionary emptied", [ast.For(node.target, emptied, node.body, node.orelse)]
    if len(node.body) == 1 and isinstance(inner := node.body[0], ast.Try):
        round_the_loop = ast.For(node.target, node.iter, inner.body, node.orelse)
        handlers = [copy.copy(handler) for handler in inner.handlers]
        for handler in handlers:
            handler.body = _without_jumps(handler.body)
        yield "try around the loop", [ast.Try([round_the_loop], handlers, inner.orelse, inner.finalbody)]


def _without_jumps(block: Block) -> Block:
    return [ast.Pass() if isinstance(each, ast.Continue | ast.Break) else each for each in block]


def _try(node: ast.Try) -> Variants:
    if node.finalbody:
        rest: Block = [ast.Try(node.body, node.handlers, node.orelse, [])] if node.handlers else node.body
        yield "finally removed", rest
        yield "finally only on success", [*rest, *node.finalbody]
    for index, handler in enumerate(node.handlers):
        fewer = [*node.handlers[:index], *node.handlers[index + 1 :]]
        if fewer or node.finalbody:
            yield "handler removed", [ast.Try(node.body, fewer, node.orelse, node.finalbody)]
        else:
            yield "handler removed", [*node.body, *node.orelse]
        wider = "Exception" if handler.type and ast.unparse(handler.type) == "OSError" else "OSError"
        yield "handler widened", [_with_handler(node, index, type=ast.Name(wider, ast.Load()))]
        if not isinstance(handler.body[0], ast.Pass):
            yield "error swallowed", [_with_handler(node, index, body=[ast.Pass()])]
        if not isinstance(handler.body[0], ast.Raise):
            yield "error raised on", [_with_handler(node, index, body=[ast.Raise()])]


def _with_handler(node: ast.Try, index: int, **fields: object) -> ast.Try:
    handler = copy.copy(node.handlers[index])
    for name, value in fields.items():
        setattr(handler, name, value)
    handlers = [*node.handlers[:index], handler, *node.handlers[index + 1 :]]
    return ast.Try(node.body, handlers, node.orelse, node.finalbody)


def _with(node: ast.With) -> Variants:
    """Without the context: what it gives is never closed, or only if nothing fails."""
    [item, *more] = node.items
    if more:
        return
    given = item.context_expr
    closes, value = False, given
    if isinstance(given, ast.Call) and ast.unparse(given.func).endswith("closing"):
        closes, value = True, given.args[0]
    first: Block = []
    if item.optional_vars is not None:
        first = [ast.Assign([item.optional_vars], value)]
    elif not closes:
        yield "context dropped", node.body
        return
    yield "never closed", [*first, *node.body]
    if closes:
        fd = item.optional_vars or value
        close = ast.parse(f"os.close({ast.unparse(fd)})").body
        yield "closed only on success", [*first, *node.body, *close]
        yield "closed before its use", [*first, *close, *node.body]
