"""`builder prune`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_lite.cli.command.flags import Command, Option

if TYPE_CHECKING:
    from pyctr_lite.cli.command.flags import Context


def prune(context: Context) -> int:
    """Remove the cache of builds."""
    from pyctr_lite.cli.screen import prompt
    from pyctr_lite.engine.build import pruning
    from pyctr_lite.engine.report.filters import grammar
    from pyctr_lite.formats import units

    flags = context.flags
    before = grammar.created_before(grammar.parse(flags.filter, ("until",)))
    which = "all build cache" if flags.all else "all dangling build cache"
    if not flags.force and not prompt.confirm(f"This will remove {which}."):
        return 0
    removed, freed = pruning.prune(context.engine, all=flags.all, before=before, keep=flags.keep_storage or 0)
    if removed:
        print("Deleted build cache objects:", *removed, "", sep="\n")
    print(f"Total reclaimed space: {units.human_size(freed)}")
    return 0


COMMANDS = {
    "builder prune": Command(
        "builder prune",
        "",
        "Remove build cache",
        (
            Option("all", "bool", "Remove all unused build cache, not just dangling ones", short="a"),
            Option("filter", "list", "Provide filter values (e.g. 'until=24h')"),
            Option("force", "bool", "Do not prompt for confirmation", short="f"),
            Option("keep-storage", "bytes", "Amount of disk space to keep for cache"),
        ),
        action=prune,
        example="pyctr_lite builder prune -f --filter until=24h",
        differs="Dangling is the cache of layers that no image has. Cache mounts are removed with --all only.",
    ),
}
