"""Help of the program, of groups and by `help VERB`; the error for an unknown verb."""

from __future__ import annotations

from pyctr_lite import suggest
from pyctr_lite.cli.command import flags, help, verbs
from pyctr_lite.errors import UsageError

SUMMARY = (
    "A container engine for learning how containers work: namespaces, cgroups, rootfs, volumes, commit, networks."
)
_COMMON = ("run", "exec", "ps", "images", "logs", "stop", "rm", "commit")


def show(parsed: flags.Parsed, options: tuple[flags.Option, ...]) -> int:
    """Print the help of the program or of a group. Raises UsageError for an unknown verb."""
    arguments = parsed.arguments
    if arguments[:1] == ["help"]:
        arguments = arguments[1:]
        name, _ = verbs.find(arguments)
        if name:
            print(help.command_help(command(name)), end="")
            return 0
    group = arguments[0] if arguments and arguments[0] in verbs.GROUPS else ""
    if arguments and not group:
        raise _unknown(arguments[0], "", _single_words())
    if group:
        members = {
            name.split()[1]: name for name in (*verbs.VERBS, *verbs.ALIASES) if name.startswith(group + " ")
        }
        if len(arguments) > 1 and not arguments[1].startswith("-"):
            raise _unknown(arguments[1], group, list(members))
        rows = [(short, _summary(name)) for short, name in sorted(members.items())]
        print(
            help.group_help(f"pyctr_lite {group} COMMAND", _summary_of_group(group), [("Commands", rows)]), end=""
        )
        return 0
    common = [(name, _summary(name)) for name in _COMMON]
    rest = [(name, _summary(name)) for name in sorted(_single_words()) if name not in _COMMON]
    groups = [(name, _summary_of_group(name)) for name in verbs.GROUPS]
    sections = [("Common Commands", common), ("Management Commands", groups), ("Commands", rest)]
    print(help.group_help("pyctr_lite [OPTIONS] COMMAND", SUMMARY, sections, options), end="")
    return 0


def command(name: str) -> flags.Command:
    """Return a verb's Command, by any of its names."""
    name = verbs.ALIASES.get(name, name)
    module = __import__(f"pyctr_lite.cli.{verbs.VERBS[name]}", fromlist=["COMMANDS"])
    found: flags.Command = module.COMMANDS[name]
    return found


def _single_words() -> list[str]:
    return [name for name in verbs.VERBS if " " not in name and not name.startswith("_")]


def _summary(name: str) -> str:
    return command(name).summary


def _summary_of_group(name: str) -> str:
    return "Manage pyctr_lite" if name == "system" else f"Manage {name}s"


def _unknown(word: str, group: str, known: list[str]) -> UsageError:
    whole = f"pyctr_lite {group}".strip()
    hint = f"{suggest.did_you_mean(word, known)} See '{whole} --help'.".lstrip()
    error = UsageError(f"'{word}' is not a {whole} command.", hint)
    error.exit_code = 1
    return error
