"""`attach`."""

from __future__ import annotations

import os

from pyctr_lite.cli.command.flags import Command, Option
from pyctr_lite.cli.screen import terminal
from pyctr_lite.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.cli.command.flags import Context


def attach(context: Context) -> int:
    """Serve as the terminal of a running container. Returns its exit code, or 1 if the user detached."""
    from pyctr_lite.engine.life import lifecycle
    from pyctr_lite.engine.state import states

    flags = context.flags
    terminal.parse_keys(flags.detach_keys)
    container = context.engine.containers.get(flags.arguments[0])
    options = container.record.options
    states.require("attach", container.state, container.name)
    stdin = options.stdin and not flags.no_stdin
    if options.tty and stdin and not os.isatty(0):
        raise InvalidArgument("the input device is not a TTY", "use --no-stdin to see only the output")
    code = terminal.follow(
        lifecycle.attach(container), stdin=stdin, tty=options.tty, keys=flags.detach_keys, proxy=flags.sig_proxy
    )
    return 1 if code is None else code


COMMANDS = {
    "attach": Command(
        "attach",
        "CONTAINER",
        "Attach local standard input, output, and error streams to a running container",
        (
            Option(
                "detach-keys",
                "string",
                "Override the key sequence for detaching a container",
                default=terminal.DETACH_KEYS,
            ),
            Option("no-stdin", "bool", "Do not attach STDIN"),
            Option("sig-proxy", "bool", "Proxy all received signals to the process", default=True),
        ),
        action=attach,
        aliases=("container attach",),
        example="pyctr_lite attach --detach-keys ctrl-x web",
    )
}
