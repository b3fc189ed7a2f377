"""`update`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyctr_lite.cli.command.flags import Command, Option
from pyctr_lite.cli.screen import for_each
from pyctr_lite.errors import InvalidArgument

if TYPE_CHECKING:
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
            Option("blkio-weight", "int", "Block IO (relative weight), between 10 and 1000, or 0 to disable"),
            Option("cpu-period", "int", "Limit CPU CFS (Completely Fair Scheduler) period, in microseconds"),
            Option("cpu-quota", "int", "Limit CPU CFS (Completely Fair Scheduler) quota, in microseconds"),
            Option("cpu-shares", "int", "CPU shares (relative weight)", short="c"),
            Option("cpus", "cpus", "Number of CPUs"),
            Option("cpuset-cpus", "string", "CPUs in which to allow execution (0-3, 0,1)"),
            Option("cpuset-mems", "string", "MEMs in which to allow execution (0-3, 0,1)"),
            Option("memory", "bytes", "Memory limit", short="m"),
            Option("memory-reservation", "bytes", "Memory soft limit"),
            Option(
                "memory-swap", "memory-swap", "Swap limit equal to memory plus swap: -1 to enable unlimited swap"
            ),
            Option("pids-limit", "int", "Tune container pids limit (set -1 for unlimited)"),
            Option("restart", "string", "Restart policy to apply when a container exits"),
        ),
        action=update_containers,
        aliases=("container update",),
        example="pyctr_lite update -m 128m --memory-swap 256m --cpus 1.5 web",
    )
}
