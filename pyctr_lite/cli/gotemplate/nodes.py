"""The nodes of a parsed template: Go's text/template/parse nodes, as far as they are needed here.

`str(node)` is the node's source in its normal form, which Go's messages quote. `position` is an offset in the
template; the messages derive their column from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Node:
    """A part of a template, at an offset in its text."""

    position: int


@dataclass(frozen=True)
class Text(Node):
    """The text between two actions."""

    text: str


@dataclass(frozen=True)
class Dot(Node):
    """`.`, the current value."""

    def __str__(self) -> str:
        return "."


@dataclass(frozen=True)
class Nil(Node):
    """`nil`, which can only be an argument."""

    def __str__(self) -> str:
        return "nil"


@dataclass(frozen=True)
class Literal(Node):
    """A string, number, character or bool."""

    value: Any
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Field(Node):
    """`.A.B`, fields of the current value."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return "".join(f".{name}" for name in self.names)


@dataclass(frozen=True)
class Variable(Node):
    """`$x.A.B`; the variable `$` is the template's data."""

    name: str
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ".".join((self.name, *self.names))


@dataclass(frozen=True)
class Chain(Node):
    """`(pipeline).A.B`."""

    base: Node
    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"({self.base})" + "".join(f".{name}" for name in self.names)


@dataclass(frozen=True)
class Function(Node):
    """The name of a function."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Command(Node):
    """An operand, or a function and its arguments."""

    words: tuple[Node, ...]

    def __str__(self) -> str:
        return " ".join(f"({word})" if isinstance(word, Pipe) else str(word) for word in self.words)


@dataclass(frozen=True)
class Pipe(Node):
    """`$x := command | command`: each command's value is the last argument of the next."""

    declared: tuple[str, ...]
    assigns: bool
    commands: tuple[Command, ...]

    def __str__(self) -> str:
        sign = f"{', '.join(self.declared)} {'=' if self.assigns else ':='} " if self.declared else ""
        return sign + " | ".join(map(str, self.commands))


@dataclass(frozen=True)
class Action(Node):
    """`{{pipeline}}`: prints its value, unless it sets a variable."""

    pipe: Pipe


@dataclass(frozen=True)
class Branch(Node):
    """`{{if}}`, `{{with}}` or `{{range}}`, with the nodes after `{{else}}`."""

    kind: str
    pipe: Pipe
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]


@dataclass(frozen=True)
class Leave(Node):
    """`{{break}}` or `{{continue}}`."""

    kind: str
