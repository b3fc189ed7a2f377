"""Go templates for `--format`: text/template as Docker's client uses it, over JSON values.

Supported are actions, pipelines, variables, `if`, `with`, `range`, `else`, `break`, `continue`, comments, trim
marks, and the functions in `functions`; not `define`, `template`, `block` and `call`.
A dict stands for a struct: a missing field is an error. A `Map` stands for a Go map: a missing key prints as
`<no value>`, as nil does.
"""

from __future__ import annotations

from pyctr_lite import suggest
from pyctr_lite.cli.gotemplate import fmt, nodes, parser, types
from pyctr_lite.cli.gotemplate.functions import (
    ANY,
    FUNCTIONS,
    INT,
    NIL,
    STRING,
    STRINGS,
    Function,
    Map,
    Method,
    truth,
)
from pyctr_lite.cli.gotemplate.tokens import TemplateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any


class Template:
    """A template, parsed once. Raises TemplateError with Go's message if the text is not a template."""

    def __init__(self, text: str, functions: dict[str, Function] = FUNCTIONS) -> None:
        self.text = text
        self.functions = functions
        try:
            self.body = parser.parse(text, functions.keys())
        except RecursionError:
            raise _too_deep() from None

    def render(self, data: Any) -> str:
        """Return the text that the template makes of a value. Raises TemplateError."""
        out: list[str] = []
        try:
            _Execution(self, data, out).walk(self.body, data)
        except RecursionError:
            raise _too_deep() from None
        return "".join(out)

    def uses_whole_data(self) -> bool:
        """Return whether the template uses its data as a whole (`{{json .}}`, `{{$}}`)."""
        return any(isinstance(node, nodes.Dot) or str(node) == "$" for node in _operands(self.body))

    def fields(self) -> set[str]:
        """Return the names of all fields that the template uses, so that costly ones are computed only if used."""
        return {name for node in _operands(self.body) for name in getattr(node, "names", ())}


def _too_deep() -> TemplateError:
    return TemplateError("template: too many actions or parentheses inside each other")


def from_flag(form: str) -> Template:
    """Parse the template of `inspect -f` and similar flags.

    Raises TemplateError with exit code 64, Docker's, if the text is not a template.
    """
    try:
        return Template(form)
    except TemplateError as error:
        error.exit_code = 64
        raise


def _operands(part: Any) -> Iterator[nodes.Node]:
    """Yield every node in a body, at any depth."""
    if isinstance(part, tuple):
        for item in part:
            yield from _operands(item)
    elif isinstance(part, nodes.Node):
        yield part
        yield from _operands(tuple(vars(part).values()))


class _Leave(Exception):
    """`{{break}}` or `{{continue}}`, caught by the loop."""


class _Execution:
    """One rendering; `at` is the node that an error message names, set where Go's exec.go sets it."""

    def __init__(self, template: Template, data: Any, out: list[str]) -> None:
        self.template = template
        self.out = out
        self.variables: list[tuple[str, Any]] = [("$", data)]
        self.at: nodes.Node = nodes.Text(0, "")

    def error(self, message: str, hint: str = "") -> TemplateError:
        before = self.template.text[: self.at.position]
        line, column = before.count("\n") + 1, len(before[before.rfind("\n") + 1 :].encode())
        return TemplateError(f'template: :{line}:{column}: executing "" at <{self.at}>: {message}', hint)

    def walk(self, body: Iterable[nodes.Node], dot: Any) -> None:
        for node in body:
            if isinstance(node, nodes.Text):
                self.out.append(node.text)
            elif isinstance(node, nodes.Action):
                value = self.pipeline(node.pipe, dot)
                if not node.pipe.declared:
                    self.out.append("<no value>" if value is None else fmt.text(value))
            elif isinstance(node, nodes.Branch):
                scope = len(self.variables)
                self.branch(node, dot)
                del self.variables[scope:]
            elif isinstance(node, nodes.Leave):
                raise _Leave(node.kind)

    def branch(self, node: nodes.Branch, dot: Any) -> None:
        scope = len(self.variables)
        value = self.pipeline(node.pipe, dot)
        if node.kind == "range":
            del self.variables[scope:]
            self.loop(node, value, dot)
        elif truth(value):
            self.walk(node.body, value if node.kind == "with" else dot)
        else:
            self.walk(node.otherwise, dot)

    def loop(self, node: nodes.Branch, value: Any, dot: Any) -> None:
        items = list(self.items(value, node.pipe))
        for key, item in items:
            scope = len(self.variables)
            names = node.pipe.declared
            pairs = list(zip(names, (item,) if len(names) == 1 else (key, item), strict=False))
            for name, part in pairs:
                self.set(name, part, new=not node.pipe.assigns)
            try:
                self.walk(node.body, item)
            except _Leave as leave:
                if str(leave) == "break":
                    break
            finally:
                del self.variables[scope:]
        if not items:
            self.walk(node.otherwise, dot)

    def items(self, value: Any, pipe: nodes.Pipe) -> Iterable[tuple[Any, Any]]:
        if value is None:
            return ()
        if isinstance(value, dict):
            return ((key, value[key]) for key in sorted(value))
        if isinstance(value, list | tuple):
            return enumerate(value)
        if isinstance(value, int) and not isinstance(value, bool):
            if len(pipe.declared) > 1:
                raise self.error(f"can't use {value} to iterate over more than one variable")
            return ((number, number) for number in range(value))
        raise self.error(f"range can't iterate over {fmt.text(value)}")

    def set(self, name: str, value: Any, *, new: bool) -> None:
        if new:
            self.variables.append((name, value))
            return
        for index in range(len(self.variables) - 1, -1, -1):
            if self.variables[index][0] == name:
                self.variables[index] = (name, value)
                return

    def pipeline(self, pipe: nodes.Pipe, dot: Any) -> Any:
        self.at = pipe
        final: tuple[Any, ...] = ()
        for command in pipe.commands:
            final = (self.command(command, dot, final),)
        for name in pipe.declared[:1]:
            self.set(name, final[0], new=not pipe.assigns)
        return final[0]

    def command(self, command: nodes.Command, dot: Any, final: tuple[Any, ...]) -> Any:
        first, *arguments = command.words
        if isinstance(first, nodes.Function):
            return self.call(command, first, arguments, dot, final)
        if isinstance(first, nodes.Nil):
            self.at = first
            raise self.error("nil is not a command")
        value = self.value(first, dot)
        if isinstance(value, Method):
            values = [self.checked(STRING, self.value(argument, dot)) for argument in arguments]
            try:
                return value(*values, *final)
            except TypeError:
                raise self.error(f"wrong number of args for {first}: got {len(values) + len(final)}") from None
        if arguments or final:
            names = getattr(first, "names", ())
            self.at = first
            if names:
                raise self.error(f"{names[-1]} is not a method but has arguments")
            raise self.error(f"can't give argument to non-function {first}")
        return value

    def value(self, node: nodes.Node, dot: Any) -> Any:
        """Evaluate an operand; a function's name alone calls it."""
        if isinstance(node, nodes.Pipe):
            return self.pipeline(node, dot)
        self.at = node
        if isinstance(node, nodes.Literal):
            return node.value
        if isinstance(node, nodes.Dot):
            return dot
        if isinstance(node, nodes.Field):
            return self.follow(dot, node.names)
        if isinstance(node, nodes.Variable):
            value = next(value for name, value in reversed(self.variables) if name == node.name)
            return self.follow(value, node.names)
        if isinstance(node, nodes.Chain):
            value = self.value(node.base, dot)
            self.at = node
            return self.follow(value, node.names)
        if isinstance(node, nodes.Function):
            return self.call(node, node, [], dot, ())
        return None

    def follow(self, value: Any, names: Iterable[str]) -> Any:
        absent = ""
        for name in names:
            if absent and value is NIL:  # Go reports the JSON's error: the JSON does not have this struct
                raise self.error(f'map has no entry for key "{absent}"')
            if value is None:
                raise self.error(f"nil pointer evaluating interface {{}}.{name}")
            if not isinstance(value, dict):
                raise self.error(f"can't evaluate field {name} in type interface {{}}")
            absent = "" if name in value else name
            if not absent:
                value = value[name]
            elif isinstance(value, Map):
                return None  # Go looks for no field in what a map does not have
            elif isinstance(value, types.Struct) and name in value.known:
                value = value.zero(name)
            else:
                known = {*value, *getattr(value, "known", ())}
                suggestion = suggest.did_you_mean(name, known, prefix=".")
                raise self.error(f'map has no entry for key "{name}"', suggestion)
        return value

    def call(
        self,
        command: nodes.Node,
        name: nodes.Function,
        arguments: list[nodes.Node],
        dot: Any,
        final: tuple[Any, ...],
    ) -> Any:
        function = self.template.functions[name.name]
        self.at = name
        given, wanted = len(arguments) + len(final), len(function.types)
        if given < wanted or (given > wanted and not function.variadic):
            least = "at least " if function.variadic else ""
            raise self.error(f"wrong number of args for {name}: want {least}{wanted} got {given}")
        kinds = (*function.types, *[function.variadic] * (given - wanted))
        values = []
        for kind, argument in zip(kinds, arguments, strict=False):
            values.append(self.argument(kind, argument, dot))
            if name.name in ("and", "or") and truth(values[-1]) == (name.name == "or"):
                return values[-1]
        values += [self.checked(kinds[-1], value) for value in final]
        try:
            return function.call(*values)
        except (ValueError, TypeError) as error:
            self.at = command
            raise self.error(f"error calling {name}: {error}") from None

    def argument(self, kind: str, node: nodes.Node, dot: Any) -> Any:
        if isinstance(node, nodes.Literal):
            self.at = node
            fits = {STRING: isinstance(node.value, str), INT: type(node.value) is int, ANY: True}.get(kind)
            if fits is None:
                raise self.error(f"can't handle {node} for arg of type {kind}")
            if not fits:
                raise self.error(f"expected {'integer' if kind == INT else kind}; found {node}")
            return node.value
        return self.checked(kind, self.value(node, dot))

    def checked(self, kind: str, value: Any) -> Any:
        """Return an argument of a function. Raises TemplateError if it does not have the expected type."""
        if kind == STRINGS and value is None:
            return []
        fits = {
            ANY: True,
            STRING: isinstance(value, str),
            INT: isinstance(value, int),
            STRINGS: isinstance(value, list) and all(isinstance(item, str) for item in value),
        }[kind]
        if not fits:
            raise self.error(f"wrong type for value; expected {kind}; got {fmt.type_name(value)}")
        return value
