"""A verb's command line as a table of options, parsed by pflag's rules, as Docker's client does.  [hot]

argparse costs 7 ms to import and click 15-26, on a path of 20 ms, and neither has pflag's grammar:
`--rm=false`, `-it`, `-m64m`, a flag that may stand without its value, options that end at the first positional.
The same tables make the help texts (`help.py`), the completion and the manual.
"""

from __future__ import annotations

from pyctr_lite import errors
from pyctr_lite.cli import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

PROGRAM = "pyctr_lite"
UNLIMITED = -1


class Option:
    """One flag: `Option("memory", "bytes", "Memory limit", short="m")`.

    `kind` is a name in `values.KINDS`, or "list": each use appends. `convert` replaces the kind's conversion
    (for a list: each item's); it raises ValueError or InvalidArgument with what is wrong. `no_value` is the
    text that the flag takes where it stands alone ("true" for a bool). `aliases` are other long names, not
    shown in the help.
    The parsed attribute is the name with underscores; where not given it is `default`: False for a bool, [] for
    a list, None for the others.
    """

    __slots__ = (
        "aliases",
        "convert",
        "default",
        "help",
        "hidden",
        "key",
        "kind",
        "metavar",
        "name",
        "no_value",
        "short",
    )

    def __init__(
        self,
        name: str,
        kind: str,
        help: str,
        *,
        short: str = "",
        metavar: str = "",
        default: Any = None,
        convert: Callable[[str], Any] | None = None,
        no_value: str = "",
        aliases: tuple[str, ...] = (),
        hidden: bool = False,
    ) -> None:
        self.name = name
        self.key = name.replace("-", "_")
        self.kind = kind
        self.help = help
        self.short = short
        self.metavar = metavar
        self.default: Any = False if kind == "bool" and default is None else default
        self.convert = convert or values.KINDS.get(kind, str)
        self.no_value = "true" if kind == "bool" else no_value
        self.aliases = aliases
        self.hidden = hidden

    def spelling(self) -> str:
        """The flag as an error names it: `-m, --memory`."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


class Command:
    """A verb: its name below the program ("run", "image ls"), what it takes, what it does.

    `arguments` is the usage text of the positionals, which also says how many there are: a word in brackets is
    optional, dots make it many ("IMAGE [COMMAND] [ARG...]": at least one). With `interspersed` false, options
    end at the first positional, so that `run busybox ls -l` gives -l to ls. `aliases` are its other names
    ("container run"); `differs` says where the verb differs from Docker's.
    """

    __slots__ = (
        "action",
        "aliases",
        "arguments",
        "differs",
        "example",
        "interspersed",
        "name",
        "options",
        "summary",
    )

    def __init__(
        self,
        name: str,
        arguments: str,
        summary: str,
        options: tuple[Option, ...] = (),
        *,
        action: Callable[[Parsed], int | None] | None = None,
        aliases: tuple[str, ...] = (),
        example: str = "",
        interspersed: bool = True,
        differs: str = "",
    ) -> None:
        self.name = name
        self.arguments = arguments
        self.summary = summary
        self.options = options
        self.action = action
        self.aliases = aliases
        self.example = example
        self.interspersed = interspersed
        self.differs = differs

    def arity(self) -> tuple[int, int]:
        """The least and the greatest number of positionals (UNLIMITED where there is no greatest)."""
        words = self.arguments.split()
        least = sum(not word.startswith("[") for word in words)
        return least, UNLIMITED if "..." in self.arguments else len(words)

    def arity_error(self, rule: str) -> errors.UsageError:
        """A UsageError for a wrong number of positionals, with the exit code that Docker's client has for it."""
        error = self.error(f'"{PROGRAM} {self.name}" {rule}.')
        error.exit_code = 1
        return error

    def error(self, message: str, near: str = "") -> errors.UsageError:
        """A UsageError that points to this verb's help, and to what was perhaps meant."""
        see = f"See '{f'{PROGRAM} {self.name}'.strip()} --help'."
        return errors.UsageError(message, f"Did you mean {near}? {see}" if near else see)


class Parsed:
    """What a command line said: an attribute an option, `arguments` for the positionals.

    `given` holds the keys of the options that were there, `help` whether help was asked for.
    """

    __slots__ = ("arguments", "given", "help", "values")

    def __init__(self, options: Sequence[Option]) -> None:
        self.arguments: list[str] = []
        self.given: set[str] = set()
        self.help = False
        self.values: dict[str, Any] = {
            option.key: [*(option.default or [])] if option.kind == "list" else option.default
            for option in options
        }

    def __getattr__(self, key: str) -> Any:
        try:
            return self.values[key]
        except KeyError:
            raise AttributeError(f"no option {key}") from None


def parse(command: Command, words: Sequence[str]) -> Parsed:
    """Read a verb's words. Fails with UsageError in pflag's and cobra's texts.

    Where help is asked for, the number of positionals is not checked (`help` is then true).
    """
    parsed = parse_words(command, words)
    if not parsed.help:
        _check_arity(command, len(parsed.arguments))
    return parsed


def parse_words(command: Command, words: Sequence[str]) -> Parsed:
    """Read words, however many positionals there are. Fails with UsageError.

    As pflag's parseArgs, parseLongArg and parseSingleShortArg (github.com/spf13/pflag, flag.go).
    """
    long = {option.name: option for option in command.options}
    long |= {alias: option for option in command.options for alias in option.aliases}
    short = {option.short: option for option in command.options if option.short}
    parsed = Parsed(command.options)
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        if len(word) < 2 or word[0] != "-":
            parsed.arguments.append(word)
            if not command.interspersed:
                parsed.arguments += words[position:]
                break
        elif word == "--":
            parsed.arguments += words[position:]
            break
        elif word[1] == "-":
            name, equals, value = word[2:].partition("=")
            if name[:1] in ("", "-"):
                raise command.error(f"bad flag syntax: {word}")
            option = long.get(name)
            if option is None:
                if name == "help":
                    parsed.help = not equals or values.boolean(value)
                    continue
                raise command.error(f"unknown flag: --{name}", _near_flag(name, long))
            if not equals:
                value = option.no_value
                if not value:
                    if position == len(words):
                        raise command.error(f"flag needs an argument: {word}")
                    value = words[position]
                    position += 1
            _set(command, parsed, option, value)
        else:
            letters = word[1:]
            while letters:
                option = short.get(letters[0])
                if option is None:
                    if letters[0] == "h":
                        parsed.help = True
                        letters = letters[1:]
                        continue
                    raise command.error(f"unknown shorthand flag: '{letters[0]}' in -{letters}")
                if len(letters) > 2 and letters[1] == "=":
                    value, letters = letters[2:], ""
                elif option.no_value:
                    value, letters = option.no_value, letters[1:]
                elif len(letters) > 1:
                    value, letters = letters[1:], ""
                elif position < len(words):
                    value, letters = words[position], ""
                    position += 1
                else:
                    raise command.error(f"flag needs an argument: '{letters[0]}' in -{letters}")
                _set(command, parsed, option, value)
    return parsed


def _set(command: Command, parsed: Parsed, option: Option, text: str) -> None:
    try:
        value = option.convert(text)
    except (ValueError, errors.InvalidArgument) as error:
        raise command.error(f'invalid argument "{text}" for "{option.spelling()}" flag: {error}') from None
    if option.kind == "list":
        if option.key not in parsed.given:
            parsed.values[option.key] = []
        parsed.values[option.key].append(value)
    else:
        parsed.values[option.key] = value
    parsed.given.add(option.key)


def _near_flag(name: str, long: dict[str, Option]) -> str:
    from pyctr_lite import near

    found = near.nearest(name, [known for known, option in long.items() if not option.hidden])
    return f"--{found}" if found else ""


def _check_arity(command: Command, number: int) -> None:
    """Cobra's rules on the number of positionals, in the words of Docker's client (cli/required.go)."""
    least, most = command.arity()
    if number >= least and (most == UNLIMITED or number <= most):
        return
    if most == 0:
        rule = "accepts no arguments"
    elif least == most:
        rule = f"requires exactly {least} argument{'s' * (least != 1)}"
    elif most == UNLIMITED:
        rule = f"requires at least {least} argument{'s' * (least != 1)}"
    elif least == 0:
        rule = f"requires at most {most} argument{'s' * (most != 1)}"
    else:
        rule = f"requires at least {least} and at most {most} arguments"
    raise command.arity_error(rule)
