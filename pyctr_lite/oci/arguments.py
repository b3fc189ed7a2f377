"""Command lines as runc reads them: `--name value`, `--name=value`, `-n value`, options before and after words.

By hand, because a call of an engine starts three or four of these processes, and argparse alone takes 6 ms.
"""

from __future__ import annotations

from pyctr_lite.errors import UsageError
from pyctr_lite.formats import number as numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Option:
    """One option of a verb. `value` is the name of its value in the help, "" for a switch."""

    __slots__ = ("help", "name", "short", "value")

    def __init__(self, name: str, help: str, value: str = "", short: str = "") -> None:
        self.name, self.help, self.value, self.short = name, help, value, short


class Arguments:
    """The options and words of a command line."""

    __slots__ = ("_given", "words")

    def __init__(self) -> None:
        self.words: list[str] = []
        self._given: dict[str, list[str]] = {}

    def add(self, name: str, text: str) -> None:
        """Record one use of an option."""
        self._given.setdefault(name, []).append(text)

    def text(self, name: str, default: str = "") -> str:
        """Return the last value of an option."""
        return self._given.get(name, [default])[-1]

    def all(self, name: str) -> list[str]:
        """Return all values of an option."""
        return self._given.get(name, [])

    def given(self, name: str) -> bool:
        """Return whether an option was given."""
        return name in self._given

    def on(self, name: str) -> bool:
        """Return whether a switch is on: `--detach`, `--detach=true`."""
        return self.text(name, "false") in ("true", "1", "t")

    def number(self, name: str, default: int = 0, maximum: int = numbers.INT64_MAX) -> int:
        """Return an option's whole number. Raises UsageError."""
        text = self.text(name, str(default))
        if not numbers.is_whole(text, maximum):
            raise UsageError(f"--{name} {text[:40]}: not a whole number up to {maximum}")
        return int(text)


def parse(
    options: Sequence[Option], words: Sequence[str], *, first_word_ends: bool = False
) -> tuple[Arguments, list[str]]:
    """Parse a command line. Returns its options and words, and the words that are left unread.

    With `first_word_ends` the first word ends the options, and it and all behind it are left: a verb with its own
    options, or a program with its own. Raises UsageError.
    """
    by_name = {f"--{option.name}": option for option in options}
    by_name |= {f"-{option.name}": option for option in options}  # as Go's flag package
    by_name |= {f"-{option.short}": option for option in options if option.short}
    parsed, left = Arguments(), list(words)
    while left:
        word = left[0]
        if word == "--":
            del left[0]
            break
        if word == "-" or not word.startswith("-"):
            if first_word_ends:
                return parsed, left
            parsed.words.append(left.pop(0))
            continue
        del left[0]
        name, equals, text = word.partition("=")
        option = by_name.get(name)
        if option is None:
            raise UsageError(f"unknown option {name}", "--help lists the options")
        if option.value and not equals:
            if not left:
                raise UsageError(f"{name} needs a value: {option.value}")
            text = left.pop(0)
        elif not equals:
            text = "true"
        elif not option.value and text not in ("true", "false", "1", "0", "t", "f"):
            raise UsageError(f"{name}={text}: must be true or false")
        parsed.add(option.name, text)
    if first_word_ends:
        return parsed, left
    parsed.words += left
    return parsed, []
