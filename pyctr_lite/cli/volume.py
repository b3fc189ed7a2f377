"""`volume create`, `volume ls`, `volume inspect`, `volume rm`, `volume prune`."""

from __future__ import annotations

from pyctr_lite.cli.command.flags import Command, Context, Option
from pyctr_lite.cli.screen import for_each, tables
from pyctr_lite.errors import Conflict, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_FIELDS = {
    "Availability": "AVAILABILITY",
    "Driver": "DRIVER",
    "Group": "GROUP",
    "Labels": "LABELS",
    "Links": "LINKS",
    "Mountpoint": "MOUNTPOINT",
    "Name": "VOLUME NAME",
    "Scope": "SCOPE",
    "Size": "SIZE",
    "Status": "STATUS",
}


def create(context: Context) -> int:
    """Create a volume unless one of that name exists, and print its name."""
    flags = context.flags
    if flags.driver != "local":
        raise NotFound(f'create: error looking up volume plugin {flags.driver}: plugin "{flags.driver}" not found')
    name = flags.arguments[0] if flags.arguments else None
    volume = context.engine.volumes.create(name, _pairs(flags.label), _pairs(flags.opt))
    print(volume.name)
    return 0


def ls(context: Context) -> int:
    """List volumes."""
    from pyctr_lite.engine.report import usage
    from pyctr_lite.engine.report.filters import volumes as filters

    flags, engine = context.flags, context.engine
    used = usage.Usage(engine)
    chosen = filters.VolumeFilter(flags.filter, used=used.volumes() if flags.filter else ())
    found = [volume for volume in engine.volumes.list() if chosen.matches(volume)]
    if flags.quiet and not flags.format:
        print("".join(f"{volume.name}\n" for volume in found), end="")
        return 0
    listing = tables.Listing(_FIELDS, ("Driver", "Name"), labels="labels")
    wanted = listing.wanted(flags.format or "")
    rows = [
        {
            "Availability": "N/A",
            "Driver": "local",
            "Group": "N/A",
            "Labels": ",".join(f"{key}={value}" for key, value in sorted(volume.labels.items())),
            "Links": str(len(used.of_volume(volume.name))) if "Links" in wanted else "N/A",
            "Mountpoint": volume.mountpoint,
            "Name": volume.name,
            "Scope": "local",
            "Size": _size(volume.mountpoint) if "Size" in wanted else "N/A",
            "Status": "N/A",
            "labels": volume.labels,
        }
        for volume in found
    ]
    listing.show(rows, flags.format or "")
    return 0


def inspect(context: Context) -> int:
    """Show volumes as JSON, or by a template."""
    from pyctr_lite.cli.screen import objects

    return objects.show(context, lambda name: context.engine.volumes.get(name).inspect())


def remove(context: Context) -> int:
    """Remove volumes and their contents."""
    from pyctr_lite.engine.report import usage

    flags, engine = context.flags, context.engine
    used = usage.Usage(engine)
    return for_each.apply(
        context, flags.arguments, lambda name: engine.volumes.remove(name, flags.force, used.of_volume)
    )


def prune(context: Context) -> int:
    """Remove volumes that no container mounts: anonymous ones, and with -a named ones too."""
    from pyctr_lite.cli.screen import prompt
    from pyctr_lite.engine.report import usage
    from pyctr_lite.engine.report.filters import volumes as filters
    from pyctr_lite.engine.state import lock
    from pyctr_lite.formats import units

    flags, engine = context.flags, context.engine
    chosen = filters.VolumeFilter(flags.filter, filters.PRUNING)
    if flags.all and chosen.all is not None:
        raise Conflict("conflicting options: cannot specify both --all and --filter all=1")
    every = flags.all or bool(chosen.all)
    which = "local volumes" if every else "anonymous local volumes"
    if not flags.force and not prompt.confirm(f"This will remove {which} not used by at least one container."):
        return 0
    with lock.References(engine.paths.containers):
        used = usage.Usage(engine).volumes()
        removed, freed = engine.volumes.prune(used, every, chosen.matches)
    if removed:
        print("Deleted Volumes:", *removed, "", sep="\n")
    print(f"Total reclaimed space: {units.human_size(freed)}")
    return 0


def _pairs(texts: Iterable[str]) -> dict[str, str]:
    return dict(text.partition("=")[::2] for text in texts)


def _size(directory: str) -> str:
    from pyctr_lite.formats import units
    from pyctr_lite.rootfs import walk

    return units.human_size(walk.disk_usage(directory), 3)


_FORMAT = Option("format", "string", "Format output: 'table', 'table TEMPLATE', 'json' or a Go template")

COMMANDS = {
    "volume create": Command(
        "volume create",
        "[VOLUME]",
        "Create a volume",
        (
            Option("driver", "string", "Specify volume driver name", short="d", default="local"),
            Option("label", "list", "Set metadata for a volume", metavar="list"),
            Option("opt", "list", "Set driver specific options: type=none, o=bind, device=DIRECTORY", short="o"),
        ),
        action=create,
        example="pyctr_lite volume create --label project=course data",
        differs="The only driver is local.",
    ),
    "volume ls": Command(
        "volume ls",
        "",
        "List volumes",
        (
            Option("filter", "list", 'Provide filter values (e.g. "dangling=true")', short="f"),
            _FORMAT,
            Option("quiet", "bool", "Only display volume names", short="q"),
        ),
        action=ls,
        aliases=("volume list",),
        example="pyctr_lite volume ls --filter dangling=true --format '{{.Name}} {{.Size}}'",
    ),
    "volume inspect": Command(
        "volume inspect",
        "VOLUME [VOLUME...]",
        "Display detailed information on one or more volumes",
        (Option("format", "string", "Format output: 'json' or a Go template", short="f"),),
        action=inspect,
        example="pyctr_lite volume inspect -f '{{.Mountpoint}}' data",
    ),
    "volume rm": Command(
        "volume rm",
        "VOLUME [VOLUME...]",
        "Remove one or more volumes",
        (Option("force", "bool", "Do not fail if a volume does not exist", short="f"),),
        action=remove,
        aliases=("volume remove",),
        example="pyctr_lite volume rm data",
    ),
    "volume prune": Command(
        "volume prune",
        "",
        "Remove unused local volumes",
        (
            Option("all", "bool", "Remove all unused volumes, not just anonymous ones", short="a"),
            Option("filter", "list", 'Provide filter values (e.g. "label=<label>")'),
            Option("force", "bool", "Do not prompt for confirmation", short="f"),
        ),
        action=prune,
        example="pyctr_lite volume prune -f",
    ),
}
