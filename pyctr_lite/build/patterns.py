"""Patterns of paths: Go's filepath.Match, and with `**` those of .dockerignore (moby/patternmatcher).

`*` and `?` do not match a slash, `[a-z]` and `[^a]` match one character, a backslash takes the meaning of the next
one. `**` matches any number of names; as in moby, a `**` before plain text matches anything, as in `**.pyc`.
"""

from __future__ import annotations

import posixpath
import re

from pyctr_lite.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


_WILD = re.compile(r"[*?\[\\]")
_NAME, _NAMES, _ANYTHING = "[^/]*", "(?:.*/)?", ".*"
"""The expressions that match texts of any length."""
_MAX_BACKTRACKING = 2
"""Number of these in a regular expression: with k of them, a text of length n can take n^k steps."""


def is_wild(path: str) -> bool:
    """Return whether a path has wildcards, or escapes."""
    return _WILD.search(path) is not None


def without_escapes(path: str) -> str:
    """Return a pattern without its escaped characters: what is wild in it still is."""
    return re.sub(r"\\.", "", path)


def compile(pattern: str, *, deep: bool) -> re.Pattern[str] | _Matcher:
    """Return a pattern with a method `fullmatch`; `deep`: `**` matches several names.

    Raises InvalidArgument for an unclosed bracket, or a backslash at the end.
    """
    parts: list[str] = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if deep and pattern.startswith("**", position - 1):
            position += 1
            is_suffix = not parts and not pattern.startswith("/", position) and not is_wild(pattern[position:])
            if pattern.startswith("/", position):
                position += 1
            parts.append(_ANYTHING if is_suffix or position == len(pattern) else _NAMES)
        elif character == "*":
            parts.append(_NAME)
        elif character == "?":
            parts.append("[^/]")
        elif character == "[":
            found, position = _bracket(pattern, position)
            parts.append(found)
        elif character == "\\":
            if position == len(pattern):
                raise _invalid(pattern)
            parts.append(re.escape(pattern[position]))
            position += 1
        else:
            parts.append(re.escape(character))
    if sum(part in (_NAME, _NAMES, _ANYTHING) for part in parts) > _MAX_BACKTRACKING:
        return _Matcher(parts)
    return re.compile("".join(parts), re.DOTALL)


class _Matcher:
    """A pattern that is matched without backtracking, as the bits of all positions that can be reached together.

    Slower than a regular expression for the usual patterns, but no pattern of an untrusted context takes long.
    """

    def __init__(self, parts: list[str]) -> None:
        self._parts = [(part, re.compile(part, re.DOTALL)) for part in parts]

    def fullmatch(self, text: str) -> bool | None:
        """Return True if the text matches, else None."""
        positions: dict[str, int] = {}
        for number, character in enumerate(text):
            positions[character] = positions.get(character, 0) | 1 << number
        slashes, end = positions.get("/", 0), 1 << len(text)
        others, reached = slashes ^ (end - 1), 1
        for part, expression in self._parts:
            first = reached & -reached
            if part == _NAME:
                reached |= ((reached & others) + others) ^ others  # the carry runs to the next slash
            elif part == _NAMES:
                reached |= slashes << 1 & -(first << 1)
            elif part == _ANYTHING:
                reached = -first & (end << 1) - 1
            else:
                fits = sum(bits for character, bits in positions.items() if expression.fullmatch(character))
                reached = (reached & fits) << 1
        return True if reached & end else None


def _bracket(pattern: str, position: int) -> tuple[str, int]:
    """Return the expression of a bracket whose content begins at `position`, and the position after it."""
    negated = pattern.startswith("^", position)
    position += negated
    ranges: list[str] = []
    while not (ranges and pattern.startswith("]", position)):
        low, position = _character(pattern, position)
        high = low
        if pattern.startswith("-", position):
            high, position = _character(pattern, position + 1)
        if low <= high:
            ranges.append(f"{re.escape(low)}-{re.escape(high)}")
        else:
            ranges.append("")
    inside = "".join(ranges)
    if not inside:
        return ("." if negated else "(?!)"), position + 1
    return f"[{'^' if negated else ''}{inside}]", position + 1


def _character(pattern: str, position: int) -> tuple[str, int]:
    if position >= len(pattern) or pattern[position] in "-]":
        raise _invalid(pattern)
    if pattern[position] == "\\":
        position += 1
    if position + 1 >= len(pattern):
        raise _invalid(pattern)
    return pattern[position], position + 1


def _invalid(pattern: str) -> InvalidArgument:
    return InvalidArgument(f"syntax error in pattern: {pattern!r}")


Matches = tuple[bool, ...]


class Exclusions:
    """Patterns that exclude paths; one that begins with `!` includes them again, and the last match wins.

    A pattern that matches a directory matches everything below it. The walk down a tree keeps the matches of each
    directory (`Matches`), so that a path is matched by its own name only.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._patterns: list[tuple[re.Pattern[str] | _Matcher, bool]] = []
        self._included: list[list[str]] = []
        """The names of each pattern with `!`."""
        for line in lines:
            self._add(line)

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def _add(self, line: str) -> None:
        text = line.strip()
        if line.startswith("#") or not text:
            return
        included = text.startswith("!")
        text = text[included:].strip()
        if not text:
            raise InvalidArgument(f'illegal exclusion pattern: "{line}"')
        text = posixpath.normpath(re.sub("/+", "/", text))
        text = text[1:] if text.startswith("/") and len(text) > 1 else text
        self._patterns.append((compile(text, deep=True), included))
        if included:
            self._included.append(text.split("/"))

    def match(self, path: str, above: Matches) -> tuple[bool, Matches]:
        """Return whether a path is excluded, and its matches; `above` are its directory's, () at the top."""
        excluded, found = False, []
        for number, (pattern, included) in enumerate(self._patterns):
            matched = bool(above) and above[number]
            # A pattern that would change nothing is not matched, as in moby: it does not count below either.
            if not matched and included == excluded:
                matched = pattern.fullmatch(path) is not None
            found.append(matched)
            if matched:
                excluded = not included
        return excluded, tuple(found)

    def excludes(self, path: str) -> bool:
        """Return whether a path is excluded, by its own name or by a directory above it."""
        names, matches, excluded = path.split("/"), Matches(), False
        for count in range(1, len(names) + 1):
            excluded, matches = self.match("/".join(names[:count]), matches)
        return excluded

    def may_include_below(self, path: str) -> bool:
        """Return whether something below an excluded directory can be included again."""
        names = path.split("/")
        for pattern in self._included:
            for name, wanted in zip(names, pattern, strict=False):
                if "**" in wanted:
                    return True
                if not is_wild(wanted) and wanted != name:
                    break
            else:
                if len(pattern) > len(names):
                    return True
        return False
