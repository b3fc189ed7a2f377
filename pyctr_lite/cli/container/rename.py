"""`rename`."""

from __future__ import annotations

from pyctr_lite.cli.command.flags import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.cli.command.flags import Context


def rename_container(context: Context) -> int:
    """Give a container another name."""
    from pyctr_lite.engine.life import rename

    reference, name = context.flags.arguments
    rename.rename(context.engine.containers.get(reference), name)
    return 0


COMMANDS = {
    "rename": Command(
        "rename",
        "CONTAINER NEW_NAME",
        "Rename a container",
        action=rename_container,
        aliases=("container rename",),
        example="pyctr_lite rename web web-old",
    )
}
