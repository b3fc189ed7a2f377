"""Lexer of Go templates, with the rules and messages of text/template's lexer."""

from __future__ import annotations

import re

from pyctr_lite import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class TemplateError(errors.InvalidArgument):
    """A template that does not parse, or that uses a field that the data does not have."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"template parsing error: {message}", hint)


class Token:
    """A token. `spaced` is true if a space precedes it.

    `kind` is "text", "{{", "}}", "string", "number", "character", "field", "variable", "word", or the mark
    itself: `. := = | ( ) ,`.
    """

    def __init__(self, kind: str, text: str, position: int, spaced: bool = False) -> None:
        self.kind, self.text, self.position, self.spaced = kind, text, position, spaced


TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<string>"(?:\\.|[^"\\\n])*"|`[^`]*`)
    |(?P<character>'(?:\\.|[^'\\\n])+')
    |(?P<number>[+-]?(?:\d|\.\d)(?:[eEpP][+-]|[\w.])*)
    |(?P<variable>\$\w*)
    |(?P<field>\.[^\W\d]\w*)
    |(?P<word>[^\W\d]\w*)
    |(?P<mark>:=|[.=|(),])""",
    re.VERBOSE,
)
ENDS_A_NAME = re.compile(r"\s|\.|,|\||:|\)|\(|\}\}|$")
SPACES = " \t\r\n"


def syntax_error(text: str, position: int, message: str) -> TemplateError:
    """Return an error in the text at an offset, with its line number, in Go's form."""
    return TemplateError(f"template: :{text.count(chr(10), 0, position) + 1}: {message}")


def tokens(text: str) -> Iterator[Token]:
    """Yield the tokens of a template, without comments and without the text that `{{- -}}` trims."""
    position = 0
    trim = False
    while True:
        opening = text.find("{{", position)
        end = len(text) if opening < 0 else opening
        literal = text[position:end]
        trims_before = text.startswith("{{-", end) and text[end + 3 : end + 4] in tuple(SPACES)
        if trim:
            literal = literal.lstrip(SPACES)
        if trims_before:
            literal = literal.rstrip(SPACES)
        if literal:
            yield Token("text", literal, position)
        if opening < 0:
            return
        inside = opening + (3 if trims_before else 2)
        comment = inside + (1 if trims_before else 0)
        if text.startswith("/*", comment):
            position, trim = _skip_comment(text, comment)
            continue
        yield Token("{{", "{{", opening)
        for token in _action(text, inside):
            yield token
            if token.kind == "}}":
                position, trim = token.position + len(token.text), token.text != "}}"


def _skip_comment(text: str, position: int) -> tuple[int, bool]:
    """Return the offset after a comment's action, and whether it trims the text that follows."""
    closing = text.find("*/", position)
    if closing < 0:
        raise syntax_error(text, position, "unclosed comment")
    rest = closing + 2
    if text.startswith("}}", rest):
        return rest + 2, False
    if text[rest : rest + 1] in tuple(SPACES) and text.startswith("-}}", rest + 1):
        return rest + 4, True
    raise syntax_error(text, rest, "comment ends before closing delimiter")


def _action(text: str, position: int) -> Iterator[Token]:
    """Yield the tokens of an action, up to and including its `}}`."""
    spaced = False
    depth = 0
    while True:
        if text.startswith("}}", position) or (spaced and text.startswith("-}}", position)):
            if depth:
                raise syntax_error(text, position, "unclosed left paren")
            yield Token("}}", "}}" if text[position] == "}" else "-}}", position)
            return
        found = TOKEN.match(text, position)
        if found is None or found.lastgroup is None:
            raise syntax_error(text, position, _lexer_message(text, position))
        kind, content = found.lastgroup, found.group()
        if kind == "space":
            spaced = True
            position = found.end()
            continue
        if kind in ("variable", "field", "word") and not ENDS_A_NAME.match(text, found.end()):
            raise syntax_error(text, position, f"bad character {_unicode(text[found.end()])}")
        depth += (content == "(") - (content == ")")
        if depth < 0:
            raise syntax_error(text, position, "unexpected right paren")
        yield Token(content if kind == "mark" else kind, content, position, spaced)
        spaced = False
        position = found.end()


def _lexer_message(text: str, position: int) -> str:
    if position >= len(text):
        return "unclosed action"
    letter = text[position]
    if letter == '"':
        return "unterminated quoted string"
    if letter == "`":
        return "unterminated raw quoted string"
    if letter == "'":
        return "unterminated character constant"
    if letter == ":":
        return "expected :="
    if letter.isascii() and letter.isprintable():
        return f'unexpected "{letter}" in operand'
    return f"unrecognized character in action: {_unicode(letter)}"


def _unicode(letter: str) -> str:
    return f"U+{ord(letter):04X}" + (f" '{letter}'" if letter.isprintable() else "")
