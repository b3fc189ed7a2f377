"""`update`."""

from __future__ import annotations

from pyctr_lite.cli.command.flags import Command, Option
from pyctr_lite.cli.container import resources
from pyctr_lite.cli.screen import for_each
from pyctr_lite.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.cli.command.flags import Context


def update_containers(context: Context) -> int:
    """Change the limits and the restart policy of containers."""
    from pyctr_lite.engine.life import update

    flags = context.flags
    if not flags.given:
        raise InvalidArgument("you must provide one or more flags when using this command")
    names = {"cpus": "nano_cpus"}
    changes: dict[str, Any] = {names.get(key, key): getattr(flags, key) for key in sorted(flags.given)}
    return for_each.apply(
        context,
        flags.arguments,
        lambda reference: update.update(context.engine.containers.get(reference), changes),
    )


COMMANDS = {
    "update": Command(
        "update",
        "CONTAINER [CONTAINER...]",
        "Update configuration of one or more containers",
        (
            *resources.OPTIONS,
            Option("restart", "string", "Restart policy to apply when a container exits"),
        ),
        action=update_containers,
        aliases=("container update",),
        example="pyctr_lite update -m 128m --memory-swap 256m --cpus 1.5 web",
        differs="Docker does not have --network-rate-in and --network-rate-out.",
    )
}
