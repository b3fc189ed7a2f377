"""Words of a Dockerfile instruction: quotes, backslashes and `$VARIABLES` with Docker's rules."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pyctr_lite.errors import InvalidArgument

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#]")
_MODIFIER = re.compile(r"(:?[-+?])")


def split_words(text: str) -> list[str]:
    """Split a line at its unquoted spaces. Quotes and backslashes stay; `expand` removes them."""
    words: list[str] = []
    word, quote, position = "", "", 0
    while position < len(text):
        character = text[position]
        if character == "\\" and quote != "'":
            word += text[position : position + 2]
            position += 2
            continue
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character.isspace():
            if word:
                words.append(word)
            word, position = "", position + 1
            continue
        word += character
        position += 1
    return [*words, word] if word else words


def expand(word: str, environment: Mapping[str, str]) -> str:
    """Remove quotes and backslashes, and replace `$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+other}`.

    Nothing is replaced in single quotes. Raises InvalidArgument for an unclosed quote or brace.
    """
    out, quote, position = "", "", 0
    while position < len(word):
        character = word[position]
        if quote == "'" and character != "'":
            out += character
        elif character == "\\":
            out += _escaped(word[position + 1 : position + 2], quote)
            position += 1
        elif character == "$":
            value, position = _variable(word, position, environment)
            out += value
            continue
        elif character == quote:
            quote = ""
        elif not quote and character in "'\"":
            quote = character
        else:
            out += character
        position += 1
    if quote:
        raise InvalidArgument(
            f"unexpected end of statement while looking for matching {_QUOTES[quote]}-quote: {word}"
        )
    return out


_QUOTES = {"'": "single", '"': "double"}


def _escaped(character: str, quote: str) -> str:
    """Return the meaning of a backslash and a character: in double quotes it only escapes `"`, `$` and `\\`."""
    return character if not quote or character in ('"', "$", "\\") else "\\" + character


def _variable(word: str, start: int, environment: Mapping[str, str]) -> tuple[str, int]:
    """Return the value of the variable at the `$` in `word`, and the position after it."""
    braced = word.startswith("{", start + 1)
    name = _NAME.match(word, start + 1 + braced)
    if name is None:
        if braced:
            raise InvalidArgument(f"syntax error: bad substitution in {word!r}")
        return "$", start + 1
    value = environment.get(name.group())
    if not braced:
        return value or "", name.end()
    end = _closing_brace(word, name.end())
    modifier = _MODIFIER.match(word, name.end(), end)
    if modifier is None:
        if name.end() != end:
            raise InvalidArgument(f"unsupported modifier ({word[name.end() : end]}) in substitution")
        return value or "", end + 1
    other = expand(word[modifier.end() : end], environment)
    given = value is not None and (value != "" or ":" not in modifier.group())
    if modifier.group().endswith("+"):
        return other if given else "", end + 1
    if modifier.group().endswith("?") and not given:
        raise InvalidArgument(f"{name.group()}: {other or 'not allowed to be unset'}")
    return (value or "") if given else other, end + 1


def _closing_brace(word: str, position: int) -> int:
    depth = 1
    while position < len(word):
        if word[position] == "\\":
            position += 1
        elif word[position] == "}":
            depth -= 1
            if not depth:
                return position
        elif word.startswith("${", position):
            depth += 1
        position += 1
    raise InvalidArgument(f"syntax error: missing '}}' in {word!r}")
