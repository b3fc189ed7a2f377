"""`completion` prints a shell's script, which calls `__complete` for the candidates."""

from __future__ import annotations

import os

from pyctr_lite.cli.command.flags import Command
from pyctr_lite.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.cli.command.flags import Context


def completion(context: Context) -> int:
    """Print the script that makes a shell complete our command lines."""
    from pyctr_lite.cli.command import candidates

    (shell,) = context.flags.arguments
    if shell not in candidates.SHELLS:
        raise InvalidArgument(f"no completion for {shell!r}", f"supported shells: {', '.join(candidates.SHELLS)}")
    with open(f"{os.path.dirname(__file__)}/completion.{shell}") as file:
        print(file.read(), end="")
    return 0


def complete(context: Context) -> int:
    """Print the candidates for the last word, one per line; ":files" stands for files."""
    from pyctr_lite.cli.command import candidates

    words = context.flags.arguments or [""]
    for candidate in candidates.of(words, context.root):
        if candidate.isprintable():  # the shell shows and types it on a terminal
            print(candidate)
    return 0


COMMANDS = {
    "completion": Command(
        "completion",
        "SHELL",
        "Print the completion script for bash, fish or zsh",
        action=completion,
        example=". <(pyctr_lite completion bash)\n"
        "pyctr_lite completion zsh >/usr/local/share/zsh/site-functions/_pyctr_lite\n"
        "pyctr_lite completion fish >~/.config/fish/completions/pyctr_lite.fish",
    ),
    "__complete": Command(
        "__complete",
        "[WORD...]",
        "Print the completion candidates for the last word",
        action=complete,
        interspersed=False,
    ),
}
