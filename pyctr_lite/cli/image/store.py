"""`images`, `history`, `tag`, `rmi`, `image prune`."""

from __future__ import annotations

import sys

from pyctr_lite.cli.command.flags import Command, Context, Option
from pyctr_lite.cli.screen import tables
from pyctr_lite.errors import NotFound, PyctrError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NONE = "<none>"
_FIELDS = {
    "Containers": "CONTAINERS",
    "CreatedAt": "CREATED AT",
    "CreatedSince": "CREATED",
    "Digest": "DIGEST",
    "ID": "IMAGE ID",
    "Repository": "REPOSITORY",
    "SharedSize": "SHARED SIZE",
    "Size": "SIZE",
    "Tag": "TAG",
    "UniqueSize": "UNIQUE SIZE",
    "VirtualSize": "VIRTUAL SIZE",
}
_HISTORY_FIELDS = {
    "Comment": "COMMENT",
    "CreatedAt": "CREATED AT",
    "CreatedBy": "CREATED BY",
    "CreatedSince": "CREATED",
    "ID": "IMAGE",
    "Size": "SIZE",
}
_CREATED_BY_LENGTH = 45


def images(context: Context) -> int:
    """List images, newest first, one line per name."""
    from pyctr_lite.engine.report.filters import images as filters

    flags, store = context.flags, context.engine.images
    chosen = filters.ImageFilter(store, flags.filter)
    chosen.patterns += flags.arguments
    digests = ("Digest",) if flags.digests else ()
    shown = ("Repository", "Tag", *digests, "ID", "CreatedSince", "Size")
    listing = tables.Listing(_FIELDS, shown)
    known, broken = store.survey()
    found = [image for image in known if chosen.matches(image)]
    _warn(broken)
    found = sorted(found, key=filters.created, reverse=True)
    if flags.quiet and not flags.format:
        ids = [image.id for image in found if chosen.names(image) or not chosen.patterns]
        for id in dict.fromkeys(ids):
            print(id if flags.no_trunc else id[7:19])
        return 0
    rows = []
    for image in found:
        names = chosen.names(image)
        if not image.names and not chosen.patterns:
            names = [f"{_NONE}:{_NONE}"]
        rows += [_image_row(image, name, filters.created(image), flags.no_trunc) for name in names]
    listing.show(rows, flags.format or "")
    return 0


def _warn(broken: Any) -> None:
    """Report the images that cannot be read, one line each. Other images are not affected."""
    from pyctr_lite.images import descriptors

    for descriptor, error in broken:
        name = descriptors.name_of(descriptor) or descriptor["digest"]
        print(f"pyctr_lite: image {name} is broken: {error.message}", file=sys.stderr)
    if broken:
        print(
            "  remove one with `pyctr_lite rmi`, or all broken images with `pyctr_lite doctor --fix`",
            file=sys.stderr,
        )


def split_name(name: str) -> tuple[str, str]:
    """Return the repository and the tag of a familiar name; "<none>" for a name by digest, as Docker does."""
    return (name.partition("@")[0], _NONE) if "@" in name else (name.rpartition(":")[0], name.rpartition(":")[2])


def _image_row(image: Any, name: str, created: int, whole: bool) -> dict[str, str]:
    from pyctr_lite.formats import times, units

    repository, tag = split_name(name)
    size = units.human_size(image.size, 3)
    return {
        "Containers": "N/A",
        "CreatedAt": times.created_at(created) if created else "N/A",
        "CreatedSince": times.ago(created) if created else "N/A",
        "Digest": image.names.get(name, image.digest),
        "ID": image.id if whole else image.id[7:19],
        "Repository": repository,
        "SharedSize": "N/A",
        "Size": size,
        "Tag": tag,
        "UniqueSize": "N/A",
        "VirtualSize": size,
    }


def history(context: Context) -> int:
    """List the steps that made an image, last first."""
    from pyctr_lite.engine.report import usage
    from pyctr_lite.formats import times, timestamps, units

    flags, engine = context.flags, context.engine
    human = flags.human
    listing = tables.Listing(
        _HISTORY_FIELDS, ("ID", "CreatedSince" if human else "CreatedAt", "CreatedBy", "Size", "Comment")
    )
    image = engine.images.get(flags.arguments[0])
    entries = image.config.get("history") or [{} for _ in image.layers]
    ids = usage.parents(engine, image) | {len(entries): image.id}
    sizes = iter([layer.size for layer in image.layers])
    rows = []
    for number, entry in enumerate(entries, 1):
        size = 0 if entry.get("empty_layer") else next(sizes, 0)
        id = ids.get(number, "<missing>")
        written = entry.get("created") or (image.created if number == len(entries) else "")
        created = _parse_time(written)
        made_by = (entry.get("created_by") or "").replace("\t", " ")
        since = times.ago(created) if created else "N/A"
        at = times.created_at(created) if created else timestamps.NEVER
        rows.append(
            {
                "Comment": entry.get("comment") or "",
                "CreatedAt": written or at,
                "CreatedBy": made_by if flags.no_trunc else tables.shorten(made_by, _CREATED_BY_LENGTH),
                "CreatedSince": since if human else written or at,
                "ID": id if flags.no_trunc else id.removeprefix("sha256:")[:12],
                "Size": units.human_size(size, 3) if human else str(size),
            }
        )
    rows.reverse()
    if flags.quiet and not flags.format:
        print(*(row["ID"] for row in rows), sep="\n")
    else:
        listing.show(rows, flags.format or "")
    return 0


def _parse_time(text: str) -> int:
    from pyctr_lite.formats import timestamps

    try:
        return timestamps.parse(text)
    except ValueError:
        return 0


def tag(context: Context) -> int:
    """Give an image an additional name."""
    context.engine.images.tag(*context.flags.arguments)
    return 0


def remove(context: Context) -> int:
    """Remove images. With -f a missing image is reported, but is not a failure."""
    from pyctr_lite.cli.screen import for_each
    from pyctr_lite.engine.report import usage

    code = 0
    for name in context.flags.arguments:
        used = usage.Usage(context.engine)
        try:
            removed = context.engine.images.remove(name, context.flags.force, used.of_image, used.running_of_image)
        except (PyctrError, OSError) as error:
            for_each.report_failure(context, error)
            if not (context.flags.force and isinstance(error, NotFound)):
                code = 1
        else:
            for deed, name in removed:
                print(f"{deed}: {name}", flush=True)
    return code


def prune(context: Context) -> int:
    """Remove dangling images, or with -a all images that no container uses."""
    from pyctr_lite.cli.screen import prompt
    from pyctr_lite.engine.report import usage
    from pyctr_lite.engine.report.filters import images as filters
    from pyctr_lite.formats import units

    flags, engine = context.flags, context.engine
    chosen = filters.ImageFilter(engine.images, flags.filter, filters.PRUNING)
    which = "images without at least one container associated to them" if flags.all else "dangling images"
    if not flags.force and not prompt.confirm(f"This will remove all {which}."):
        return 0
    removed, freed = engine.images.prune(
        usage.Usage(engine).of_image, flags.all, chosen.matches if flags.filter else None
    )
    if removed:
        print("Deleted Images:", *(f"{deed.lower()}: {name}" for deed, name in removed), "", sep="\n")
    print(f"Total reclaimed space: {units.human_size(freed)}")
    return 0


_FORMAT = Option("format", "string", "Format output: 'table', 'table TEMPLATE', 'json' or a Go template")
_NO_TRUNC = Option("no-trunc", "bool", "Don't truncate output")

COMMANDS = {
    "images": Command(
        "images",
        "[REPOSITORY[:TAG]]",
        "List images",
        (
            Option("all", "bool", "Show all images (the default: no image is hidden)", short="a"),
            Option("digests", "bool", "Show digests"),
            Option("filter", "list", "Filter output based on conditions provided", short="f"),
            _FORMAT,
            _NO_TRUNC,
            Option("quiet", "bool", "Only show image IDs", short="q"),
        ),
        action=images,
        aliases=("image ls", "image list"),
        example="pyctr_lite images --filter dangling=true",
        differs="SIZE is the size of the layers in the store; a compressed layer counts by its compressed size.",
    ),
    "tag": Command(
        "tag",
        "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
        "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
        action=tag,
        interspersed=False,
        aliases=("image tag",),
        example="pyctr_lite tag busybox mine:1",
    ),
    "rmi": Command(
        "rmi",
        "IMAGE [IMAGE...]",
        "Remove one or more images",
        (
            Option("force", "bool", "Force removal of the image", short="f"),
            Option("no-prune", "bool", "No effect: images without a name are never removed", hidden=True),
        ),
        action=remove,
        aliases=("image rm", "image remove"),
        example="pyctr_lite rmi mine:1",
        differs="If an image is removed by force while a stopped container needs it, it stays without a name.",
    ),
    "history": Command(
        "history",
        "IMAGE",
        "Show the history of an image",
        (
            _FORMAT,
            Option("human", "bool", "Print sizes and dates in human readable format", short="H", default=True),
            _NO_TRUNC,
            Option("quiet", "bool", "Only show image IDs", short="q"),
        ),
        action=history,
        aliases=("image history",),
        example="pyctr_lite history --no-trunc busybox",
    ),
    "image prune": Command(
        "image prune",
        "",
        "Remove unused images",
        (
            Option("all", "bool", "Remove all unused images, not just dangling ones", short="a"),
            Option("filter", "list", "Provide filter values (label=<key>[=<value>], until=<time>)"),
            Option("force", "bool", "Do not prompt for confirmation", short="f"),
        ),
        action=prune,
        example="pyctr_lite image prune -a -f",
        differs="Without a filter, it also removes what pulls that were interrupted have downloaded.",
    ),
}
