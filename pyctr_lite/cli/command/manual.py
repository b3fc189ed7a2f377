"""The manual page pyctr_lite(1), made from the same tables as the help texts (man(7)).

`python -m pyctr_lite.cli.command.manual` prints it; `make setup` installs it.
"""

from __future__ import annotations

from pyctr_lite.cli.command import flags, help, overview, program, verbs

_FILES = (
    ("/var/lib/pyctr_lite", "images, layers, containers, volumes; change it with --root or PYCTR_LITE_ROOT"),
    ("/run/pyctr_lite", "state that does not survive a reboot"),
    ("<root>/containers/<id>", "one container: an OCI bundle, its record, its changes (upper), its log"),
    ("<root>/images", "the images, as an OCI image layout"),
)
_CODES = (
    ("125", "run: the container was not created or not started; any command: the flags are wrong"),
    ("126", "run, exec: the program could not be run"),
    ("127", "run, exec: the program was not found"),
    ("128+n", "run, exec, wait: the program was ended by signal n"),
    ("1", "any other command failed, for the reason on stderr"),
)


def page() -> str:
    """Return the manual page in roff."""
    from pyctr_lite import __version__

    parts = [
        f'.TH PYCTR_LITE 1 "" "pyctr_lite {__version__}" "User Commands"',
        ".SH NAME\npyctr_lite, pyctr \\- a container engine with Docker's verbs and no daemon",
        f".SH SYNOPSIS\n.B pyctr_lite\n[OPTIONS] COMMAND [ARG...]\n.SH DESCRIPTION\n{_text(overview.SUMMARY)}",
        ".SH GLOBAL OPTIONS\n" + _options(program.GLOBAL_OPTIONS),
        ".SH COMMANDS",
        *(_command(overview.command(name)) for name in sorted(verbs.VERBS) if not name.startswith("_")),
        ".SH EXIT STATUS\n" + _terms(_CODES),
        ".SH FILES\n" + _terms(_FILES),
        ".SH SEE ALSO\n.BR docker (1),\n.BR podman (1),\n.BR runc (8),\n.BR namespaces (7),\n.BR cgroups (7)",
    ]
    return "\n".join(parts) + "\n"


def _command(command: flags.Command) -> str:
    parts = [f".SS {_text(help.usage(command).removeprefix(flags.PROGRAM + ' '))}", _text(command.summary) + "."]
    if command.aliases:
        parts.append(f".PP\nAlso: {_text(', '.join(command.aliases))}.")
    if any(not option.hidden for option in command.options):
        parts.append(_options(command.options))
    if command.example:
        parts.append(f".PP\nExample:\n.PP\n.nf\n.RS\n{_text(command.example)}\n.RE\n.fi")
    if command.differs:
        parts.append(f".PP\nDiffers from Docker: {_text(command.differs)}")
    return "\n".join(parts)


def _options(options: tuple[flags.Option, ...]) -> str:
    rows = [
        (help.option_left(option).strip(), help.option_right(option))
        for option in sorted(options, key=lambda option: option.name)
        if not option.hidden
    ]
    return _terms(rows)


def _terms(rows: tuple[tuple[str, str], ...] | list[tuple[str, str]]) -> str:
    return "\n".join(f".TP\n\\fB{_text(left)}\\fR\n{_text(right)}" for left, right in rows)


def _text(text: str) -> str:
    """Escape a text for roff, so that it has no requests or escapes, and its dashes can be copied."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line[:1] in (".", "'") else line for line in text.split("\n"))


if __name__ == "__main__":
    print(page(), end="")
