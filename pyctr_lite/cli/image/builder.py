"""`builder prune` and `builder du`."""

from __future__ import annotations

from pyctr_lite.cli.command.flags import Command, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.cli.command.flags import Context
    from pyctr_lite.engine.build.pruning import Object


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


_FIELDS = {
    "CreatedAt": "CREATED AT",
    "Description": "DESCRIPTION",
    "ID": "ID",
    "LastUsed": "LAST ACCESSED",
    "Reclaimable": "RECLAIMABLE",
    "Shared": "SHARED",
    "Size": "SIZE",
    "Type": "TYPE",
}
_SHOWN = ("ID", "Reclaimable", "Size", "LastUsed")


def du(context: Context) -> int:
    """Show the objects of the build cache."""
    from pyctr_lite.cli.screen import tables
    from pyctr_lite.engine.build import pruning
    from pyctr_lite.formats import units

    form = context.flags.format or ""
    listing = tables.Listing(_FIELDS, (*_SHOWN, "Type", "Description") if context.flags.verbose else _SHOWN)
    listing.wanted(form)
    found = pruning.objects(context.engine)
    listing.show([_row(it) for it in found], form)
    if not form:
        usage = pruning.Usage(context.engine)
        print(f"Reclaimable:\t{units.human_size(usage.size - usage.used)}")
        print(f"Total:\t\t{units.human_size(sum(it.size for it in found))}")
    return 0


def _row(found: Object) -> dict[str, str]:
    from pyctr_lite.formats import times, units

    return {
        "CreatedAt": found.created,
        "Description": found.title,
        "ID": found.id,
        "LastUsed": times.ago(round(found.used * 10**9)),
        "Reclaimable": str(found.reclaimable).lower(),
        "Shared": str(found.shared).lower(),
        "Size": units.human_size(found.size),
        "Type": found.type,
    }


COMMANDS = {
    "builder du": Command(
        "builder du",
        "",
        "Disk usage of the build cache",
        (
            Option("format", "string", "Format output: 'table', 'table TEMPLATE', 'json' or a Go template"),
            Option("verbose", "bool", "Show the types and descriptions of the objects", short="v"),
        ),
        action=du,
        example="pyctr_lite builder du -v",
        differs="As `docker buildx du`, but what an image has is not reclaimable: its removal frees nothing.",
    ),
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
        differs="Dangling is the cache of layers that no image has, and of cache mounts.",
    ),
}
