"""`container prune`."""

from __future__ import annotations

from pyctr_lite.cli.command.flags import Command, Option
from pyctr_lite.cli.screen import prompt
from pyctr_lite.engine.report.filters import containers
from pyctr_lite.errors import Conflict
from pyctr_lite.formats import units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctr_lite.cli.command.flags import Context
    from pyctr_lite.engine.container.container import Container
    from pyctr_lite.engine.engine import Engine


def prune(context: Context) -> int:
    """Remove all stopped containers."""
    flags = context.flags
    chosen = containers.ContainerFilter(context.engine, flags.filter, containers.PRUNING)
    if not flags.force and not prompt.confirm("This will remove all stopped containers."):
        return 0
    removed, freed = remove_stopped(context.engine, chosen.matches)
    if removed:
        print("Deleted Containers:", *removed, "", sep="\n")
    print(f"Total reclaimed space: {units.human_size(freed)}")
    return 0


def remove_stopped(engine: Engine, chosen: Callable[[Container], bool]) -> tuple[list[str], int]:
    """Remove the stopped ones of the chosen containers. Returns their ids, and the bytes of their changes."""
    from pyctr_lite.engine.life import lifecycle
    from pyctr_lite.rootfs import walk

    removed, freed = [], 0
    for container in engine.containers.list():
        if container.state.running or not chosen(container):
            continue
        size = walk.disk_usage(f"{container.directory}/upper")
        try:
            lifecycle.remove(container)
        except Conflict:
            continue  # it has been started since
        removed.append(container.id)
        freed += size
    return removed, freed


COMMANDS = {
    "container prune": Command(
        "container prune",
        "",
        "Remove all stopped containers",
        (
            Option("filter", "list", "Provide filter values (label=<key>[=<value>], until=<time>)"),
            Option("force", "bool", "Do not prompt for confirmation", short="f"),
        ),
        action=prune,
        example="pyctr_lite container prune -f",
    ),
}
