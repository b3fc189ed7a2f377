"""`completion`: a shell's script, and `__complete`, which it asks what could come next."""

from __future__ import annotations

import os

from pyctr_lite.cli.command.flags import Command
from pyctr_lite.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.cli.command.flags import Context

SHELLS = ("bash", "fish", "zsh")


def completion(context: Context) -> int:
    """Print the script that teaches a shell to complete our command lines."""
    (shell,) = context.flags.arguments
    if shell not in SHELLS:
        raise InvalidArgument(f"no completion for {shell!r}", f"it is one of {', '.join(SHELLS)}")
    with open(f"{os.path.dirname(__file__)}/completion.{shell}") as file:
        print(file.read(), end="")
    return 0


def complete(context: Context) -> int:
    """Print what could stand in the place of the last word, a candidate a line; ":files" where a file could."""
    from pyctr_lite.cli.command import candidates

    words = context.flags.arguments or [""]
    for candidate in candidates.of(words, context.root):
        if candidate.isprintable():  # it is to be typed into a terminal
            print(candidate)
    return 0


COMMANDS = {
    "completion": Command(
        "completion",
        "SHELL",
        "Print the script by which bash, fish or zsh completes verbs, flags and names",
        action=completion,
        example=". <(pyctr_lite completion bash)\n"
        "pyctr_lite completion zsh >/usr/local/share/zsh/site-functions/_pyctr_lite\n"
        "pyctr_lite completion fish >~/.config/fish/completions/pyctr_lite.fish",
    ),
    "__complete": Command(
        "__complete",
        "[WORD...]",
        "What could stand in the place of the last word",
        action=complete,
        interspersed=False,
    ),
}
