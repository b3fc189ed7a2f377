"""Words of a Dockerfile instruction: quotes, escapes and `$VARIABLES` with BuildKit's rules.

The grammar is a part of the shell's (POSIX.1-2017, Shell Command Language, 2.6.2): `$NAME`, `${NAME}`, with `-`,
`+` and `?` (after a colon an empty value counts as unset), `#`, `##`, `%` and `%%` to remove a prefix or a suffix,
and bash's `/` and `//` to replace.
"""

from __future__ import annotations

import re

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_SPECIAL = "@*#?-$!0"
"""The shell's special parameters, which are never set here."""
_QUOTES = {"'": "single", '"': "double"}
_MAX_SIZE = 4 << 20
"""Maximum characters of the values in a word: as the bytes of an image's config, which has to hold most of them.

A line `ENV A=$A$A` doubles a value, so that 40 lines would take terabytes.
"""
_MAX_DEPTH = 50
"""Maximum number of substitutions that are nested in each other."""


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


def expand(word: str, environment: Mapping[str, str], escape: str = "\\", *, quotes: bool = True) -> str:
    """Remove quotes and escapes, and replace variables. Without `quotes` these are ordinary characters.

    Nothing is replaced in single quotes. Raises InvalidArgument for an unclosed quote or brace, a modifier that
    does not exist, and a variable that `?` requires.
    """
    return "".join(text for text, _ in _Lexer(word, environment, escape, quotes).pieces())


def expand_words(text: str, environment: Mapping[str, str], escape: str = "\\") -> list[str]:
    """Expand a text and split it at the spaces outside quotes, also at those in values of variables."""
    words: list[str] = []
    word, started = "", False
    for piece, splits in _Lexer(text, environment, escape, True).pieces():
        for character in piece if splits else (piece,):
            if splits and character.isspace():
                if word:
                    words.append(word)
                word, started = "", False
            else:
                word, started = word + character, True
    return [*words, word] if started and word else words


class _Lexer:
    """The characters of a text that are not yet read; each method reads what its name says."""

    def __init__(self, text: str, environment: Mapping[str, str], escape: str, quotes: bool) -> None:
        self._text, self._environment, self._escape = text, environment, escape
        self._specials = {"$": self._substituted}
        self._left, self._depth = _MAX_SIZE, 0
        if quotes:
            self._specials |= {"'": self._single_quoted, '"': self._double_quoted}
        self._position = 0

    def pieces(self, end: str = "", raw: bool = False) -> list[tuple[str, bool]]:
        """Read to the character `end` ("": to the end). Return each piece, and whether spaces split it.

        With `raw` the escapes stay in the text: a pattern gives them their meaning.
        """
        found: list[tuple[str, bool]] = []
        while character := self._peek():
            if character == end:
                self._position += 1
                return found
            if character in self._specials:
                found.append((self._specials[character](), character == "$"))
                continue
            self._position += 1
            if character != self._escape:
                found.append((character, True))
                continue
            escaped = self._next()
            found.append(((character if raw else "") + escaped, False))
        if end:
            raise self._error(f"syntax error: missing '{end}'")
        return found

    def _peek(self) -> str:
        return self._text[self._position : self._position + 1]

    def _next(self) -> str:
        character = self._peek()
        self._position += len(character)
        return character

    def _error(self, why: str) -> InvalidArgument:
        return InvalidArgument(f"failed to process {self._text!r}: {why}")

    def _unclosed(self, quote: str) -> InvalidArgument:
        kind = _QUOTES[quote]
        return InvalidArgument(
            f"unexpected end of statement while looking for matching {kind}-quote: {self._text}"
        )

    def _single_quoted(self) -> str:
        end = self._text.find("'", self._position + 1)
        if end < 0:
            raise self._unclosed("'")
        quoted, self._position = self._text[self._position + 1 : end], end + 1
        return quoted

    def _double_quoted(self) -> str:
        """Read to the closing quote: the escape only concerns a quote, a dollar sign and itself."""
        self._position += 1
        quoted = ""
        while character := self._peek():
            if character == "$":
                quoted += self._substituted()
                continue
            self._position += 1
            if character == '"':
                return quoted
            if character == self._escape:
                following = self._peek()
                if not following:
                    break
                if following in ('"', "$", self._escape):
                    character = self._next()
            quoted += character
        raise self._unclosed('"')

    def _substituted(self) -> str:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise InvalidArgument(f"substitutions are nested more than {_MAX_DEPTH} deep")
        value = self._variable()
        self._depth -= 1
        self._take(len(value))
        return value

    def _take(self, size: int) -> None:
        """Count the characters of a value. Raises InvalidArgument if the word gets too large."""
        self._left -= size
        if self._left < 0:
            raise InvalidArgument(f"the values of variables in a word have more than {_MAX_SIZE} characters")

    def _variable(self) -> str:
        self._position += 1
        if self._peek() != "{":
            name = self._name()
            return self._environment.get(name, "") if name else "$"
        self._position += 1
        if not self._peek():
            raise self._error("syntax error: missing '}'")
        if self._peek() in "{}:":
            raise self._error("syntax error: bad substitution")
        name, modifier = self._name(), self._next()
        if modifier == "}":
            return self._environment.get(name, "")
        if not modifier:
            raise self._error("syntax error: missing '}'")
        if modifier == "/":
            return self._replaced(name)
        if modifier == ":":
            modifier += self._next()
        if modifier[-1:] not in ("-", "+", "?", "#", "%"):
            raise self._error(f"unsupported modifier ({modifier}) in substitution")
        word = self._join("}", raw=modifier[-1] in "#%")
        value = self._environment.get(name)
        if modifier[-1] in "#%":
            return _trimmed(value or "", modifier[-1], word)
        given = value is not None and not (value == "" and len(modifier) == 2)
        if modifier[-1] == "+":
            return word if given else ""
        if modifier[-1] == "?" and not given:
            state = "unset" if value is None else "empty"
            raise self._error(f"{name}: {word or f'is not allowed to be {state}'}")
        return (value or "") if given else word

    def _replaced(self, name: str) -> str:
        """Read `PATTERN/REPLACEMENT}` and return the variable with the first match replaced, after `//` each."""
        count = 1
        if self._peek() == "/":
            self._position, count = self._position + 1, 0
        pattern = _regex(self._join("/", raw=True))
        replacement = self._join("}", raw=True)

        def replace(_: re.Match[str]) -> str:
            self._take(len(replacement))
            return replacement

        return re.sub(pattern, replace, self._environment.get(name, ""), count=count)

    def _join(self, end: str, raw: bool) -> str:
        return "".join(text for text, _ in self.pieces(end, raw))

    def _name(self) -> str:
        """Read a name: letters, digits and `_`; or digits alone, or one special parameter."""
        start = self._position
        first = self._peek()
        if first and first in _SPECIAL and first != "0":
            self._position += 1
            return first
        is_number = number.is_digits(first)
        allowed = number.is_digits if is_number else lambda character: character.isalnum() or character == "_"
        while self._peek() and allowed(self._peek()):
            self._position += 1
        return self._text[start : self._position]


def _trimmed(value: str, kind: str, pattern: str) -> str:
    """Remove the prefix (`#`) or suffix (`%`) that matches, the longest if `pattern` begins with `kind`."""
    longest = pattern.startswith(kind)
    matcher = re.compile(_regex(pattern.removeprefix(kind)), re.DOTALL)
    ends = range(len(value) + 1)
    if kind == "#":
        found = [end for end in ends if matcher.fullmatch(value, 0, end)]
        return value[(found[-1] if longest else found[0]) :] if found else value
    found = [start for start in ends if matcher.fullmatch(value, start)]
    return value[: found[0] if longest else found[-1]] if found else value


def _regex(pattern: str) -> str:
    """Return a shell pattern with `*` and `?`, but without brackets, as a regular expression.

    What follows a `*` is matched at its first place only, which suffices if another `*` comes, for that takes the
    rest. So a pattern with many of them does not take exponential time.
    """
    pieces, position = [""], 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if character == "*":
            pieces.append("")
        elif character == "?":
            pieces[-1] += "."
        elif character == "\\":
            escaped = pattern[position : position + 1]
            position += 1
            if not escaped or escaped not in "*?\\}/":
                raise InvalidArgument(f"invalid pattern ({pattern}) in substitution: invalid escape '\\{escaped}'")
            pieces[-1] += re.escape(escaped)
        else:
            pieces[-1] += re.escape(character)
    first, *others = pieces
    if not others:
        return first
    return first + "".join(f"(?>.*?{piece})" for piece in others[:-1]) + ".*" + others[-1]
