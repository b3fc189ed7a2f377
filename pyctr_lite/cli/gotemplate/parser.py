"""Parser of Go templates: tokens to nodes, with the messages of text/template/parse."""

from __future__ import annotations

import ast
import re

from pyctr_lite.cli.gotemplate import nodes
from pyctr_lite.cli.gotemplate.tokens import TemplateError, Token, syntax_error, tokens
from pyctr_lite.formats import number, quoting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any


KEYWORDS = {"if", "else", "end", "range", "with", "break", "continue", "define", "template", "block"}
OPERANDS = {"string", "number", "character", "field", "variable", "word", ".", "("}


def parse(text: str, functions: Collection[str]) -> tuple[nodes.Node, ...]:
    """Parse a template in which `functions` are the names of functions. Raises TemplateError."""
    parser = _Parser(text, functions)
    body, ended_by = parser.body()
    if ended_by:
        raise parser.error(f"unexpected {{{{{ended_by}}}}}")
    return body


class _Parser:
    def __init__(self, text: str, functions: Collection[str]) -> None:
        self.text = text
        self.functions = functions
        self.tokens = list(tokens(text))
        self.next = 0
        self.variables = ["$"]
        self.loops = 0

    def error(self, message: str) -> TemplateError:
        at = self.tokens[min(self.next, len(self.tokens)) - 1].position if self.tokens else 0
        return syntax_error(self.text, at, message)

    def peek(self) -> Token:
        return self.tokens[self.next] if self.next < len(self.tokens) else Token("EOF", "", len(self.text))

    def take(self) -> Token:
        token = self.peek()
        self.next += 1
        return token

    def body(self) -> tuple[tuple[nodes.Node, ...], str]:
        """Parse nodes up to an {{end}}, an {{else}} or the end of the text ("")."""
        found: list[nodes.Node] = []
        while (token := self.take()).kind != "EOF":
            if token.kind == "text":
                found.append(nodes.Text(token.position, token.text))
                continue
            word = self.peek()
            if word.kind == "word" and word.text in KEYWORDS:
                self.take()
                if word.text in ("end", "else"):
                    return tuple(found), word.text
                found.append(self.control(word))
            else:
                found.append(nodes.Action(word.position, self.pipeline("command", "}}")))
        return tuple(found), ""

    def control(self, word: Token) -> nodes.Node:
        if word.text in ("break", "continue"):
            if not self.loops:
                raise self.error(f"{{{{{word.text}}}}} outside {{{{range}}}}")
            self.close(word.text)
            return nodes.Leave(word.position, word.text)
        if word.text not in ("if", "with", "range"):
            raise self.error(f"{{{{{word.text}}}}} is not supported here")
        return self.branch(word)

    def branch(self, word: Token) -> nodes.Branch:
        """Parse the rest of an {{if}}, {{with}} or {{range}}, up to its {{end}}."""
        scope = len(self.variables)
        pipe = self.pipeline(word.text, "}}")
        self.loops += word.text == "range"
        body, ended_by = self.body()
        self.loops -= word.text == "range"
        otherwise: tuple[nodes.Node, ...] = ()
        if ended_by == "else":
            after = self.peek()
            if after.kind == "word" and after.text in ("if", "with") and after.text == word.text:
                otherwise = (self.branch(self.take()),)  # both share one {{end}}
                ended_by = ""
            else:
                self.close("else")
                otherwise, ended_by = self.body()
                if ended_by == "else":
                    raise self.error("expected end; found {{else}}")
                ended_by = ended_by or "EOF"
        elif not ended_by:
            ended_by = "EOF"
        if ended_by == "EOF":
            raise self.error("unexpected EOF")
        if ended_by == "end":
            self.close("end")
        del self.variables[scope:]
        return nodes.Branch(word.position, word.text, pipe, body, otherwise)

    def close(self, context: str) -> None:
        if self.peek().kind != "}}":
            raise self.error(f"unexpected {_shown(self.peek())} in {context}")
        self.take()

    def pipeline(self, context: str, end: str) -> nodes.Pipe:
        """Parse `$x := command | command` and the token that ends it."""
        position = self.peek().position
        declared, assigns = self.declarations(context)
        commands: list[nodes.Command] = []
        while True:
            token = self.peek()
            if token.kind == end:
                self.take()
                if not commands:
                    raise self.error(f"missing value for {context}")
                break
            if token.kind not in OPERANDS:
                raise self.error(f"unexpected {_shown(token)} in {context}")
            commands.append(self.command(end))
        for stage, command in enumerate(commands[1:], 2):
            if isinstance(command.words[0], nodes.Literal | nodes.Dot | nodes.Nil):
                raise self.error(f"non executable command in pipeline stage {stage}")
        if not assigns:
            self.variables += declared
        return nodes.Pipe(position, declared, assigns, tuple(commands))

    def declarations(self, context: str) -> tuple[tuple[str, ...], bool]:
        """Parse the variables that a pipeline sets; True if by `=`, which needs known variables, not by `:=`."""
        kinds = [token.kind for token in self.tokens[self.next : self.next + 6]]
        if kinds[0] != "variable" or (kinds[1] == "," and context != "range"):
            return (), False
        if kinds[1] in (":=", "="):
            name, sign = self.take().text, self.take()
            return self.checked((name,), sign)
        if kinds[1] != ",":
            return (), False
        if kinds[2:4] == ["variable", ","]:
            raise self.error(f"too many declarations in {context}")
        if kinds[2] != "variable" or kinds[3] not in (":=", "="):
            raise self.error("range can only initialize variables")
        first, _, second, sign = (self.take() for _ in range(4))
        return self.checked((first.text, second.text), sign)

    def checked(self, names: tuple[str, ...], sign: Token) -> tuple[tuple[str, ...], bool]:
        for name in names if sign.kind == "=" else ():
            self.require_variable(name)
        return names, sign.kind == "="

    def require_variable(self, name: str) -> None:
        if name not in self.variables:
            raise self.error(f'undefined variable "{name}"')

    def command(self, end: str) -> nodes.Command:
        """Parse operands up to a `|`, which is consumed, or to the pipeline's end, which is not."""
        position = self.peek().position
        words: list[nodes.Node] = []
        while (token := self.peek()).kind in OPERANDS:
            if words and not token.spaced and token.kind != "(":
                raise self.error(f"unexpected {_shown(token)} in operand")
            words.append(self.operand())
        if token.kind == "|":
            self.take()
        elif token.kind != end:
            raise self.error(f"unexpected {_shown(token)} in operand")
        return nodes.Command(position, tuple(words))

    def operand(self) -> nodes.Node:
        """Parse a term and the fields that follow it without a space."""
        term = self.term(self.take())
        following = self.peek()
        names = []
        while self.peek().kind == "field" and not self.peek().spaced:
            names.append(self.take().text[1:])
        if not names:
            return term
        if isinstance(term, nodes.Field):
            return nodes.Field(following.position, (*term.names, *names))
        if isinstance(term, nodes.Variable):
            return nodes.Variable(following.position, term.name, tuple(names))
        if isinstance(term, nodes.Literal | nodes.Nil | nodes.Dot):
            raise self.error(f"unexpected . after term {quoting.quoted(str(term))}")
        return nodes.Chain(following.position, term, tuple(names))

    def term(self, token: Token) -> nodes.Node:
        at = token.position
        if token.kind == "(":
            return self.pipeline("parenthesized pipeline", ")")
        if token.kind == ".":
            return nodes.Dot(at)
        if token.kind == "field":
            return nodes.Field(at, (token.text[1:],))
        if token.kind == "variable":
            self.require_variable(token.text)
            return nodes.Variable(at, token.text, ())
        if token.kind == "word":
            if token.text == "nil":
                return nodes.Nil(at)
            if token.text in ("true", "false"):
                return nodes.Literal(at, token.text == "true", token.text)
            if token.text not in self.functions:
                raise self.error(f'function "{token.text}" not defined')
            return nodes.Function(at, token.text)
        return nodes.Literal(at, self.constant(token), token.text)

    def constant(self, token: Token) -> Any:
        """Return the value of a string, a character or a number, by Go's grammar."""
        try:
            if token.text.startswith("`"):
                return token.text[1:-1]
            if token.kind == "number":
                return _number(token.text)
            value = ast.literal_eval(token.text)
            if token.kind == "string":
                return value
            if len(value) != 1:
                raise ValueError
            return ord(value)
        except (ValueError, SyntaxError):
            if token.kind == "number":
                raise self.error(f"bad number syntax: {quoting.quoted(token.text)}") from None
            what = "malformed character constant" if token.kind == "character" else "invalid syntax"
            raise self.error(f"{what}: {token.text}") from None


def _number(text: str) -> int | float:
    digits = text.lstrip("+-")
    if re.fullmatch(r"0[0-9]+", digits):  # Go's octal
        text = text.replace("0", "0o", 1)
    if len(digits) > number.MAX_DIGITS:
        raise ValueError("a number has 40 digits at most")
    try:
        return int(text, 0)
    except ValueError:
        return float(text)


def _shown(token: Token) -> str:
    if token.kind == "EOF":
        return "EOF"
    special = token.text in KEYWORDS or token.text in (".", "nil")
    return f"<{token.text}>" if special else quoting.quoted(token.text)
