"""What can go wrong in one expression: for each the expressions that somebody may have written in its place."""

from __future__ import annotations

import ast
import copy
import itertools
from collections.abc import Container, Iterator

from tests.labs.mutants import kin

Variants = Iterator[tuple[str, ast.expr]]
"""Pairs of an operator's name and the new expression."""


def variants(node: ast.expr, *, condition: bool, message: bool, given: Container[str]) -> Variants:
    """All variants of one node, not of those below it.

    `condition`: only whether it is true matters. `message`: it is part of what an error says.
    `given`: the names of what the caller gave.
    """
    match node:
        case ast.Compare():
            yield from _compare(node)
        case ast.BoolOp():
            yield from _bool(node)
        case ast.UnaryOp():
            yield "operator dropped", node.operand
        case ast.BinOp():
            yield from _binary(node)
        case ast.Constant():
            yield from _constant(node)
        case ast.JoinedStr():
            yield from _text(node, message)
        case ast.Call():
            yield from _call(node, given)
        case ast.Attribute(ctx=ast.Load()) | ast.Name(ctx=ast.Load()):
            yield from _kin(node)
        case ast.Subscript(ctx=ast.Load()):
            yield from _slice(node)
        case ast.List(ctx=ast.Load()) | ast.Set() | ast.Dict() | ast.Tuple(ctx=ast.Load()):
            yield from _elements(node)
        case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
            yield from _comprehension(node)
    if condition:
        yield from _condition(node)


def made(template: str, **parts: ast.expr) -> ast.expr:
    """An expression of a template whose names in capitals stand for others: `made("not X", X=node)`."""

    class Fill(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return copy.deepcopy(parts.get(node.id, node))

    return Fill().visit(ast.parse(template, mode="eval").body)


def _changed(node: ast.expr, **fields: object) -> ast.expr:
    new = copy.copy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def _without(items: list, index: int) -> list:
    return [*items[:index], *items[index + 1 :]]


def _condition(node: ast.expr) -> Variants:
    if not isinstance(node, ast.Constant):
        yield "condition forced", ast.Constant(True)
        yield "condition forced", ast.Constant(False)
    if isinstance(node, ast.Name | ast.Attribute):
        yield "falsiness for None", made("X is not None", X=node)
    if isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Name | ast.Attribute):
        yield "falsiness for None", made("X is None", X=node.operand)


def _compare(node: ast.Compare) -> Variants:
    for index, operator in enumerate(node.ops):
        for new in kin.COMPARISONS[type(operator)]:
            yield "comparison swapped", _changed(node, ops=[*node.ops[:index], new(), *node.ops[index + 1 :]])
    left, right = node.left, node.comparators[0]
    match node.ops, right:
        case [ast.IsNot()], ast.Constant(value=None):
            yield "falsiness for None", left
        case [ast.Is()], ast.Constant(value=None):
            yield "falsiness for None", made("not X", X=left)
        case [ast.Eq()], ast.Constant(value=str() | bytes()):
            yield "contained, not equal", made("X in Y", X=right, Y=left)


def _bool(node: ast.BoolOp) -> Variants:
    yield "and for or", _changed(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
    for index in range(len(node.values)):
        rest = _without(node.values, index)
        yield "operand dropped", _changed(node, values=rest) if len(rest) > 1 else rest[0]


def _binary(node: ast.BinOp) -> Variants:
    for new in kin.BINARY.get(type(node.op), ()):
        yield "operator swapped", _changed(node, op=new())
    if isinstance(node.op, ast.FloorDiv):
        yield "divided as a float", made("int(X / Y)", X=node.left, Y=node.right)
    if isinstance(node.op, ast.BitOr | ast.BitAnd | ast.Add):
        yield "flag or part dropped", node.left
        yield "flag or part dropped", node.right


def _constant(node: ast.Constant) -> Variants:
    value = node.value
    if isinstance(value, bool):
        news = [not value]
    elif isinstance(value, kin.Octal):
        news = [kin.Octal(mode) for mode in kin.MODES.get(value, (0, 0o777))]
    elif isinstance(value, int):
        news = [value + 1, value - 1]
    elif isinstance(value, str):
        news = kin.TEXTS.get(value, [""] if " " in value else [f"{value}x"])
    elif isinstance(value, bytes):
        texts = kin.TEXTS.get(value.decode(), [f"{value.decode()}x"])
        news = [text.encode() for text in texts]
    else:
        return
    for new in news:
        yield "constant changed", ast.Constant(new)


def _text(node: ast.JoinedStr, message: bool) -> Variants:
    if message:
        yield "words of a message lost", ast.Constant("")
    for index, part in enumerate(node.values):
        if message and isinstance(part, ast.Constant):
            continue
        yield "part of a text dropped", _changed(node, values=_without(node.values, index))
        if isinstance(part, ast.FormattedValue) and part.conversion != -1:
            plain = [*node.values[:index], _changed(part, conversion=-1), *node.values[index + 1 :]]
            yield "conversion dropped", _changed(node, values=plain)


def _call(node: ast.Call, given: Container[str]) -> Variants:
    for index in range(len(node.keywords)):
        yield "keyword dropped", _changed(node, keywords=_without(node.keywords, index))
    for index, (first, second) in enumerate(itertools.pairwise(node.keywords)):
        if first.arg and second.arg:
            pair = [ast.keyword(first.arg, second.value), ast.keyword(second.arg, first.value)]
            swapped = [*node.keywords[:index], *pair, *node.keywords[index + 2 :]]
            yield "values of keywords swapped", _changed(node, keywords=swapped)
    if len(node.args) > 1:
        yield "argument dropped", _changed(node, args=node.args[:-1])
    for index, (first, second) in enumerate(itertools.pairwise(node.args)):
        if _are_alike(first, second):
            swapped = [*node.args[:index], second, first, *node.args[index + 2 :]]
            yield "arguments swapped", _changed(node, args=swapped)
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
    if node.args and name in kin.WRAPPERS:
        yield "wrapper dropped", node.args[0]
    if len(node.args) == 2 and name in ("min", "max"):
        yield "wrapper dropped", node.args[1]
    of = node.func.value if isinstance(node.func, ast.Attribute) else None
    if of is not None and ast.unparse(of) == "os.path":
        return
    if name == "get" and isinstance(of, ast.Name) and of.id in given:
        yield "taken out of what the caller gave", made("OF.pop(X, None)", OF=of, X=node.args[0])
    if of is not None and name in kin.METHODS:
        yield "method dropped", of
    for template in kin.CALLS.get(name, ()):
        parts = dict(zip("XYZ", node.args, strict=False)) | ({"OF": of} if of is not None else {})
        new = made(template, **parts)
        if not {part.id for part in ast.walk(new) if isinstance(part, ast.Name)} & {"X", "Y", "Z", "OF"}:
            yield "call of near kin", new


def _are_alike(first: ast.expr, second: ast.expr) -> bool:
    """Whether somebody may take one for the other: not a variable and a flag."""
    return (
        type(first) is type(second)
        and not isinstance(first, ast.Starred)
        and ast.unparse(first).isupper() == ast.unparse(second).isupper()
    )


def _kin(node: ast.Attribute | ast.Name) -> Variants:
    name = node.attr if isinstance(node, ast.Attribute) else node.id
    for new in kin.NAMES.get(name, ()):
        if isinstance(node, ast.Attribute):
            yield "attribute of near kin", _changed(node, attr=new)
        else:
            yield "name of near kin", ast.Name(new, ast.Load())
    for new in kin.DOTTED.get(ast.unparse(node), ()):
        yield "attribute of near kin", ast.parse(new, mode="eval").body


def _slice(node: ast.Subscript) -> Variants:
    if isinstance(node.slice, ast.Slice):
        yield "slice dropped", node.value
        for bound in ("lower", "upper"):
            if getattr(node.slice, bound):
                yield "slice widened", _changed(node, slice=_changed(node.slice, **{bound: None}))


def _elements(node: ast.List | ast.Set | ast.Dict | ast.Tuple) -> Variants:
    if isinstance(node, ast.Dict):
        for index in range(len(node.keys)):
            fewer = {"keys": _without(node.keys, index), "values": _without(node.values, index)}
            yield "element dropped", _changed(node, **fewer)
        return
    if len(node.elts) > 1 or isinstance(node, ast.List):
        for index in range(len(node.elts)):
            yield "element dropped", _changed(node, elts=_without(node.elts, index))
    for index in range(len(node.elts) - 1):
        swapped = [*node.elts[:index], node.elts[index + 1], node.elts[index], *node.elts[index + 2 :]]
        yield "elements swapped", _changed(node, elts=swapped)


def _comprehension(node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> Variants:
    [loop, *more] = node.generators
    for index in range(len(loop.ifs)):
        fewer = ast.comprehension(loop.target, loop.iter, _without(loop.ifs, index), 0)
        yield "condition dropped", _changed(node, generators=[fewer, *more])
    for name, new in loops(loop.iter):
        yield name, _changed(node, generators=[ast.comprehension(loop.target, new, loop.ifs, 0), *more])


def loops(items: ast.expr) -> Variants:
    """Fewer or other rounds of a loop."""
    yield "loop over the first only", made("list(X)[:1]", X=items)
    yield "loop without the first", made("list(X)[1:]", X=items)
    yield "loop without the last", made("list(X)[:-1]", X=items)
    yield "loop reversed", made("reversed(list(X))", X=items)
