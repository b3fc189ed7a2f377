"""Parser of a verb's command line, with pflag's rules, which Docker's client uses.  [hot]"""

from __future__ import annotations

from pyctr_lite import errors
from pyctr_lite.cli.command import flags, values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def parse(command: flags.Command, args: Sequence[str]) -> flags.Parsed:
    """Parse a verb's arguments. Raises UsageError with the messages of pflag and cobra.

    If they ask for help (`help` is then true), the number of positionals is not checked.
    """
    parsed = parse_args(command, args)
    if not parsed.help:
        _check_arity(command, len(parsed.arguments))
    return parsed


def parse_args(command: flags.Command, args: Sequence[str]) -> flags.Parsed:
    """Parse arguments with any number of positionals. Raises UsageError.

    Follows pflag's parseArgs, parseLongArg and parseSingleShortArg (github.com/spf13/pflag, flag.go).
    """
    long = {option.name: option for option in command.options}
    long |= {alias: option for option in command.options for alias in option.aliases}
    short = {option.short: option for option in command.options if option.short}
    parsed = flags.Parsed(command.options)
    position = 0
    while position < len(args):
        word = args[position]
        position += 1
        if len(word) < 2 or word[0] != "-":
            parsed.arguments.append(word)
            if not command.interspersed:
                parsed.arguments += args[position:]
                break
        elif word == "--":
            parsed.arguments += args[position:]
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
                raise command.error(f"unknown flag: --{name}", _suggestion(name, long))
            if not equals:
                value = option.no_value
                if not value:
                    if position == len(args):
                        raise command.error(f"flag needs an argument: {word}")
                    value = args[position]
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
                elif position < len(args):
                    value, letters = args[position], ""
                    position += 1
                else:
                    raise command.error(f"flag needs an argument: '{letters[0]}' in -{letters}")
                _set(command, parsed, option, value)
    return parsed


def _set(command: flags.Command, parsed: flags.Parsed, option: flags.Option, text: str) -> None:
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


def _suggestion(name: str, long: dict[str, flags.Option]) -> str:
    from pyctr_lite import suggest

    known = [known for known, option in long.items() if not option.hidden]
    return suggest.did_you_mean(name, known, prefix="--")


def _check_arity(command: flags.Command, number: int) -> None:
    """Check the number of positionals. Raises UsageError with the text of Docker's client (cli/required.go)."""
    minimum, maximum = command.arity()
    if number >= minimum and (maximum == flags.UNLIMITED or number <= maximum):
        return
    if maximum == 0:
        rule = "accepts no arguments"
    elif minimum == maximum:
        rule = f"requires exactly {minimum} argument{'s' * (minimum != 1)}"
    elif maximum == flags.UNLIMITED:
        rule = f"requires at least {minimum} argument{'s' * (minimum != 1)}"
    elif minimum == 0:
        rule = f"requires at most {maximum} argument{'s' * (maximum != 1)}"
    else:
        rule = f"requires at least {minimum} and at most {maximum} arguments"
    raise command.arity_error(rule)
