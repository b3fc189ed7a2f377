"""`network rm` and `network prune`."""

from __future__ import annotations

from pyctr_lite.cli.command.flags import Command, Option
from pyctr_lite.cli.screen import for_each, prompt
from pyctr_lite.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctr_lite.cli.command.flags import Context
    from pyctr_lite.networks.store import Network


def remove(context: Context) -> int:
    """Remove networks. With --force, one that does not exist is not an error, and not printed."""
    networks, missing = context.engine.networks, []
    for reference in context.flags.arguments if context.flags.force else ():
        try:
            networks.identify(reference)
        except NotFound:
            missing.append(reference)
    present = [reference for reference in context.flags.arguments if reference not in missing]
    return for_each.apply(context, present, networks.delete)


def prune(context: Context) -> int:
    """Remove all networks that no running container is connected to."""
    flags = context.flags
    chosen = filter_of(flags.filter)
    if not flags.force and not prompt.confirm(
        "This will remove all custom networks not used by at least one container."
    ):
        return 0
    removed = context.engine.networks.prune(chosen)
    if removed:
        print("Deleted Networks:", *removed, "", sep="\n")
    return 0


def filter_of(texts: list[str]) -> Callable[[Network], bool]:
    """Return a test of a network for the filters of `prune`. Raises BadFilter, InvalidArgument."""
    from pyctr_lite.engine.report.filters import networks as filters

    chosen = filters.NetworkFilter(texts, filters.PRUNING)
    return lambda network: chosen.matches(
        {"Name": network.name, "Created": network.created, "Labels": network.labels}
    )


COMMANDS = {
    "network rm": Command(
        "network rm",
        "NETWORK [NETWORK...]",
        "Remove one or more networks",
        (Option("force", "bool", "Do not error if the network does not exist", short="f"),),
        action=remove,
        aliases=("network remove",),
        example="pyctr_lite network rm back",
    ),
    "network prune": Command(
        "network prune",
        "",
        "Remove all unused networks",
        (
            Option("filter", "list", 'Provide filter values (e.g. "until=<timestamp>")'),
            Option("force", "bool", "Do not prompt for confirmation", short="f"),
        ),
        action=prune,
        example="pyctr_lite network prune -f --filter until=24h",
    ),
}
