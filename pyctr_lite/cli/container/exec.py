"""`exec`.  [hot]"""

from __future__ import annotations

import os

from pyctr_lite.cli.command.flags import Command, Option
from pyctr_lite.cli.container import narration, options
from pyctr_lite.cli.screen import terminal
from pyctr_lite.errors import Conflict, InvalidArgument, PyctrError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyctr_lite.cli.command.flags import Context


def exec_command(context: Context) -> int:
    """Run an additional process in a running container. Returns its exit code."""
    from pyctr_lite.engine.life import execute
    from pyctr_lite.engine.state.options import ExecOptions

    flags = context.flags
    if flags.tty and flags.interactive and not flags.detach and not os.isatty(0):
        raise InvalidArgument("the input device is not a TTY", "omit -t if stdin is a pipe or a file")
    terminal.parse_keys(flags.detach_keys)
    narration.to_stderr(flags.explain)
    container = context.engine.containers.get(flags.arguments[0])
    exec_options = ExecOptions(
        flags.arguments[1:],
        env=[*options.env_files(flags.env_file), *flags.env],
        user=flags.user or "",
        workdir=flags.workdir or "",
        stdin=flags.interactive,
        tty=flags.tty,
        detach=flags.detach,
        privileged=flags.privileged,
    )
    size = terminal.size() if flags.tty else (0, 0)
    if not flags.detach:
        terminal.hold_signals()  # until there is a process to pass them to
    attachment = _with_exit_code(lambda: execute.run(container, exec_options, size))
    if flags.detach:
        attachment.close()
        return 0
    code = terminal.follow(attachment, stdin=flags.interactive, tty=flags.tty, keys=flags.detach_keys)
    return 1 if code is None else code


def _with_exit_code(launch: Callable[[], Any]) -> Any:
    """Launch the process. An error in it, before its program runs, gets the exit code 126, as Docker's does.

    Other errors keep theirs: 1 for a missing container or one that is not running.
    """
    try:
        return launch()
    except PyctrError as error:
        if error.exit_code is None and not isinstance(error, Conflict):
            error.exit_code = 126
        raise


COMMANDS = {
    "exec": Command(
        "exec",
        "CONTAINER COMMAND [ARG...]",
        "Execute a command in a running container",
        (
            Option("detach", "bool", "Detached mode: run command in the background", short="d"),
            Option(
                "detach-keys",
                "string",
                "Override the key sequence for detaching a container",
                default=terminal.DETACH_KEYS,
            ),
            Option("env", "list", "Set environment variables", short="e"),
            Option("env-file", "list", "Read in a file of environment variables"),
            Option("explain", "string", "Narrate each kernel step: text or json", no_value="text"),
            Option("interactive", "bool", "Keep STDIN open even if not attached", short="i"),
            Option("privileged", "bool", "Give extended privileges to the command"),
            Option("tty", "bool", "Allocate a pseudo-TTY", short="t"),
            Option("user", "string", "Username or UID (format: <name|uid>[:<group|gid>])", short="u"),
            Option("workdir", "string", "Working directory inside the container", short="w"),
        ),
        action=exec_command,
        aliases=("container exec",),
        example="pyctr_lite exec -it web sh",
        interspersed=False,
        differs="Docker does not have --explain.",
    )
}
