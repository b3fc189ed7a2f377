"""Help texts in the style of Docker's client, made from the tables of `flags`."""

from __future__ import annotations

import shutil
import textwrap

from pyctr_lite.cli.command.flags import PROGRAM, Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MIN_COLUMNS = 40
"""The minimum width that help is wrapped to."""


def command_help(command: Command, columns: int | None = None) -> str:
    """Return the help of a verb: usage, summary, aliases, options, example, differences from Docker's verb."""
    columns = columns or terminal_columns()
    parts = [f"Usage:  {usage(command)}", command.summary]
    if command.aliases:
        names = sorted((command.name, *command.aliases))
        parts.append("Aliases:\n  " + ", ".join(f"{PROGRAM} {name}" for name in names))
    if options := options_help(command.options, columns):
        parts.append("Options:\n" + options)
    if command.example:
        parts.append("Example:\n" + textwrap.indent(command.example, "  "))
    if command.differs:
        parts.append("Differs from Docker:\n" + "\n".join(_wrap(command.differs, columns, indent="  ")))
    return "\n\n".join(parts) + "\n"


def usage(command: Command) -> str:
    """Return the usage line: `pyctr_lite run [OPTIONS] IMAGE [COMMAND] [ARG...]`."""
    parts = [PROGRAM, command.name, "[OPTIONS]" if command.options else "", command.arguments]
    return " ".join(filter(None, parts))


def group_help(
    usage_text: str,
    summary: str,
    sections: Iterable[tuple[str, Sequence[tuple[str, str]]]],
    options: Sequence[Option] = (),
    columns: int | None = None,
) -> str:
    """Return the help of the program or of a group of verbs; a section is (title, [(verb, summary), …])."""
    columns = columns or terminal_columns()
    parts = [f"Usage:  {usage_text}", summary]
    sections = [(title, verbs) for title, verbs in sections if verbs]
    width = max((len(verb) for _, verbs in sections for verb, _ in verbs), default=0) + 2
    for title, verbs in sections:
        parts.append("\n".join([f"{title}:", *(f"  {verb:<{width}}{text}" for verb, text in verbs)]))
    if options:
        parts.append("Global Options:\n" + options_help(options, columns))
    see = usage_text.replace(" [OPTIONS]", "") + " --help"
    parts.append(f"Run '{see}' for more information on a command.")
    return "\n\n".join(parts) + "\n"


def options_help(options: Sequence[Option], columns: int) -> str:
    """Return one or more lines for each option that is not hidden, sorted by name (pflag's FlagUsagesWrapped)."""
    shown = sorted((option for option in options if not option.hidden), key=lambda option: option.name)
    rows = [(option_left(option), option_right(option)) for option in shown]
    indent = max((len(left) for left, _ in rows), default=0) + 3
    lines = []
    for left, right in rows:
        if columns - indent < MIN_COLUMNS // 2:
            lines += [left, *_wrap(right, max(columns, MIN_COLUMNS) - 16, indent=" " * 16)]
        else:
            first, *rest = _wrap(right, columns - indent) or [""]
            lines += [left.ljust(indent) + first, *(" " * indent + line for line in rest)]
    return "\n".join(lines)


def _wrap(text: str, columns: int, indent: str = "") -> list[str]:
    """Wrap a text at spaces only, so that a flag with hyphens can be copied."""
    return textwrap.wrap(text, columns, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def option_left(option: Option) -> str:
    """Return an option's names and the kind of its value: `  -m, --memory bytes`."""
    short = f"-{option.short}, " if option.short else "    "
    value = option.metavar or {"cpus": "decimal", "memory-swap": "bytes", "bool": ""}.get(option.kind, option.kind)
    if option.no_value and option.kind != "bool":
        return f"  {short}--{option.name}[={value}]"
    return f"  {short}--{option.name} {value}".rstrip()


def option_right(option: Option) -> str:
    """Return an option's description and default."""
    default = option.default
    if default is None or default is False or default in ("", []):
        return option.help
    if isinstance(default, bool):
        return f"{option.help} (default {str(default).lower()})"
    return (
        f'{option.help} (default "{default}")'
        if isinstance(default, str)
        else f"{option.help} (default {default})"
    )


def terminal_columns() -> int:
    """Return the width that help is wrapped to: the terminal's, or 80."""
    return max(shutil.get_terminal_size((80, 24)).columns, MIN_COLUMNS)
