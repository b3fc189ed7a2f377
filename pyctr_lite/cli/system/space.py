"""`system df` and `system prune`."""

from __future__ import annotations

from pyctr_lite.cli.command.flags import Command, Option
from pyctr_lite.cli.screen import tables
from pyctr_lite.formats import times, units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.cli.command.flags import Context
    from pyctr_lite.engine.report.space import Space

_FIELDS = {
    "Active": "ACTIVE",
    "Reclaimable": "RECLAIMABLE",
    "Size": "SIZE",
    "TotalCount": "TOTAL",
    "Type": "TYPE",
}
_SHOWN = ("Type", "TotalCount", "Active", "Size", "Reclaimable")


def df(context: Context) -> int:
    """Show disk usage."""
    from pyctr_lite.engine.build import pruning
    from pyctr_lite.engine.report import space

    flags = context.flags
    listing = tables.Listing(_FIELDS, _SHOWN)
    form = flags.format or ""
    listing.wanted(form)  # report a faulty template before anything is measured
    measured, cached = space.measure(context.engine), pruning.Usage(context.engine)
    if flags.verbose and not form:
        print(_verbose(context, measured), end="")
        print(f"\nBuild cache usage: {units.human_size(cached.size, 4)}")
    else:
        rows = [*_rows(measured), _row("Build Cache", cached.count, cached.active, cached.size, cached.used)]
        listing.show(rows, form)
    return 0


def _rows(space: Space) -> list[dict[str, Any]]:
    running = [size for container, size in space.containers if container.state.running]
    containers = sum(size for _, size in space.containers)
    volumes = sum(size for _, size, _ in space.volumes)
    mounted = [size for _, size, links in space.volumes if links]
    active = sum(1 for image in space.images if image.containers)
    return [
        _row("Images", len(space.images), active, space.images_size, space.images_used),
        _row("Containers", len(space.containers), len(running), containers, sum(running)),
        _row("Local Volumes", len(space.volumes), len(mounted), volumes, sum(mounted)),
    ]


def _row(kind: str, total: int, active: int, size: int, used: int) -> dict[str, Any]:
    free = units.human_size(size - used, 4)
    share = f" ({100 * (size - used) // size}%)" if size else ""
    return {
        "Type": kind,
        "TotalCount": str(total),
        "Active": str(active),
        "Size": units.human_size(size, 4),
        "Reclaimable": free + share,
    }


def _verbose(context: Context, space: Space) -> str:
    from pyctr_lite.cli.container import ps
    from pyctr_lite.cli.image import store as image_store
    from pyctr_lite.engine.report.filters import images as filters

    images = [["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE", "SHARED SIZE", "UNIQUE SIZE", "CONTAINERS"]]
    for usage in space.images:
        created = filters.created(usage.image)
        sizes = [units.human_size(size, 4) for size in (usage.image.size, usage.shared, usage.unique)]
        for name in usage.image.references or usage.image.names or ["<none>:<none>"]:
            repository, tag = image_store.split_name(name)
            since = times.ago(created) if created else "N/A"
            images.append([repository, tag, usage.image.id[7:19], since, *sizes, str(usage.containers)])
    titles = ["CONTAINER ID", "IMAGE", "COMMAND", "LOCAL VOLUMES", "SIZE", "CREATED", "STATUS", "NAMES"]
    fields = ("ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names")
    containers = [titles]
    names = ps.ImageNames(context.engine, False)
    for container, size in space.containers:
        row = {name: ps.FIELD_OF[name](container, False) for name in fields if name not in ("Image", "Size")}
        row |= {"Image": names.name(container), "Size": units.human_size(size, 3)}
        containers.append([row[name] for name in fields])
    volumes = [["VOLUME NAME", "LINKS", "SIZE"]]
    volumes += [[volume.name, str(links), units.human_size(size, 3)] for volume, size, links in space.volumes]
    sections = {"Images": images, "Containers": containers, "Local Volumes": volumes}
    return "\n".join(f"{title} space usage:\n\n{tables.aligned(rows)}" for title, rows in sections.items())


def prune(context: Context) -> int:
    """Remove unused data: stopped containers, networks, then images, and with --volumes anonymous volumes."""
    from pyctr_lite.cli.container.prune import remove_stopped
    from pyctr_lite.cli.network import remove as network_remove
    from pyctr_lite.cli.screen import prompt
    from pyctr_lite.engine.build import pruning
    from pyctr_lite.engine.report import usage
    from pyctr_lite.engine.report.filters import grammar
    from pyctr_lite.engine.report.filters.containers import PRUNING, ContainerFilter
    from pyctr_lite.engine.report.filters.images import ImageFilter
    from pyctr_lite.engine.report.filters.volumes import VolumeFilter
    from pyctr_lite.engine.state import lock

    flags, engine = context.flags, context.engine
    chosen = ContainerFilter(engine, flags.filter, PRUNING)
    images = ImageFilter(engine.images, flags.filter, PRUNING)
    chosen_networks = network_remove.filter_of(flags.filter)
    volumes = VolumeFilter(text for text in flags.filter if text.startswith("label"))
    which = "images without at least one container associated to them" if flags.all else "dangling images"
    doomed = ["all stopped containers", "all networks not used by at least one container", f"all {which}"]
    if flags.volumes:
        doomed.append("all anonymous volumes not used by at least one container")
    doomed.append("unused build cache" if flags.all else "dangling build cache")
    listed = "".join(f"\n  - {item}" for item in doomed)
    if not flags.force and not prompt.confirm(f"This will remove:{listed}\n"):
        return 0
    removed, freed = remove_stopped(engine, chosen.matches)
    if removed:
        print("Deleted Containers:", *removed, "", sep="\n")
    if networks := engine.networks.prune(chosen_networks):
        print("Deleted Networks:", *networks, "", sep="\n")
    untagged, bytes_of_images = engine.images.prune(
        usage.Usage(engine).of_image, flags.all, images.matches if flags.filter else None
    )
    if untagged:
        print("Deleted Images:", *(f"{deed.lower()}: {name}" for deed, name in untagged), "", sep="\n")
    freed += bytes_of_images
    if not any(text.startswith("label") for text in flags.filter):
        before = grammar.created_before(grammar.parse(flags.filter, PRUNING))
        steps, bytes_of_cache = pruning.prune(engine, all=flags.all, before=before)
        if steps:
            print("Deleted build cache objects:", *steps, "", sep="\n")
        freed += bytes_of_cache
    if flags.volumes:
        with lock.References(engine.paths.containers):
            used = usage.Usage(engine).volumes()
            gone, bytes_of_volumes = engine.volumes.prune(used, False, volumes.matches)
        if gone:
            print("Deleted Volumes:", *gone, "", sep="\n")
        freed += bytes_of_volumes
    print(f"Total reclaimed space: {units.human_size(freed)}")
    return 0


COMMANDS = {
    "system df": Command(
        "system df",
        "",
        "Show disk usage",
        (
            Option("format", "string", "Format output: 'table', 'table TEMPLATE', 'json' or a Go template"),
            Option("verbose", "bool", "Show detailed information on space usage", short="v"),
        ),
        action=df,
        example="pyctr_lite system df -v",
        differs="SIZE is the size in the store; a compressed layer counts by its compressed size. "
        "The build cache's is that of the layers that no image has, and of the cache mounts; "
        "its objects are active if a running build uses them.",
    ),
    "system prune": Command(
        "system prune",
        "",
        "Remove unused data",
        (
            Option("all", "bool", "Remove all unused images not just dangling ones", short="a"),
            Option("filter", "list", "Provide filter values (label=<key>[=<value>], until=<time>)"),
            Option("force", "bool", "Do not prompt for confirmation", short="f"),
            Option("volumes", "bool", "Prune anonymous volumes"),
        ),
        action=prune,
        example="pyctr_lite system prune --volumes -f",
    ),
}
