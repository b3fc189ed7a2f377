"""The nodes of a parsed template: Go's text/template/parse nodes, as far as they are needed here.

`str(node)` is the node's source in its normal form, which Go's messages quote. `position` is an offset in the
template; the messages derive their column from it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Node:
    """A part of a template, at an offset in its text. Its values are given in the order of `FIELDS`.

    Not a dataclass, because importing `dataclasses` takes 6 ms.
    """

    FIELDS: tuple[str, ...] = ()

    position: int

    def __init__(self, position: int, *values: Any) -> None:
        self.position = position
        for name, value in zip(self.FIELDS, values, strict=True):
            setattr(self, name, value)


class Text(Node):
    """The text between two actions."""

    FIELDS = ("text",)

    text: str


class Dot(Node):
    """`.`, the current value."""

    def __str__(self) -> str:
        return "."


class Nil(Node):
    """`nil`, which can only be an argument."""

    def __str__(self) -> str:
        return "nil"


class Literal(Node):
    """A string, number, character or bool."""

    FIELDS = ("value", "text")

    value: Any
    text: str

    def __str__(self) -> str:
        return self.text


class Field(Node):
    """`.A.B`, fields of the current value."""

    FIELDS = ("names",)

    names: tuple[str, ...]

    def __str__(self) -> str:
        return "".join(f".{name}" for name in self.names)


class Variable(Node):
    """`$x.A.B`; the variable `$` is the template's data."""

    FIELDS = ("name", "names")

    name: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join((self.name, *self.names))


class Chain(Node):
    """`(pipeline).A.B`."""

    FIELDS = ("base", "names")

    base: Node
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"({self.base})" + "".join(f".{name}" for name in self.names)


class Function(Node):
    """The name of a function."""

    FIELDS = ("name",)

    name: str

    def __str__(self) -> str:
        return self.name


class Command(Node):
    """An operand, or a function and its arguments."""

    FIELDS = ("words",)

    words: tuple[Node, ...]

    def __str__(self) -> str:
        return " ".join(f"({word})" if isinstance(word, Pipe) else str(word) for word in self.words)


class Pipe(Node):
    """`$x := command | command`: each command's value is the last argument of the next."""

    FIELDS = ("declared", "assigns", "commands")

    declared: tuple[str, ...]
    assigns: bool
    commands: tuple[Command, ...]

    def __str__(self) -> str:
        sign = f"{', '.join(self.declared)} {'=' if self.assigns else ':='} " if self.declared else ""
        return sign + " | ".join(map(str, self.commands))


class Action(Node):
    """`{{pipeline}}`: prints its value, unless it sets a variable."""

    FIELDS = ("pipe",)

    pipe: Pipe


class Branch(Node):
    """`{{if}}`, `{{with}}` or `{{range}}`, with the nodes after `{{else}}`."""

    FIELDS = ("kind", "pipe", "body", "otherwise")

    kind: str
    pipe: Pipe
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]


class Leave(Node):
    """`{{break}}` or `{{continue}}`."""

    FIELDS = ("kind",)

    kind: str
