"""`ps`.  [hot]"""

from __future__ import annotations

from pyctr_lite.cli.command.flags import Command, Option
from pyctr_lite.cli.screen import tables
from pyctr_lite.errors import BrokenArchive, Conflict, NotFound
from pyctr_lite.formats import times, timestamps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.cli.command.flags import Context
    from pyctr_lite.engine.container.container import Container

_FIELDS = {
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "CreatedAt": "CREATED AT",
    "RunningFor": "CREATED",
    "Status": "STATUS",
    "State": "STATE",
    "Ports": "PORTS",
    "Size": "SIZE",
    "Names": "NAMES",
    "Labels": "LABELS",
    "Mounts": "MOUNTS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Networks": "NETWORKS",
    "Platform": "PLATFORM",
}
_SHOWN = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")
_COMMAND_LENGTH = 20


def ps(context: Context) -> int:
    """List containers, newest first."""
    flags = context.flags
    listing = tables.Listing(_FIELDS, (*_SHOWN, "Size") if flags.size else _SHOWN, labels="labels")
    form = flags.format or ""
    wanted = listing.wanted(form) | ({"Size"} if flags.size else set())
    found = _select(context)
    if flags.quiet and not flags.format:
        for container in found:
            print(container.id if flags.no_trunc else container.id[:12])
        return 0
    images = ImageNames(context.engine, flags.no_trunc)
    fields = {name: field for name, field in FIELD_OF.items() if name in wanted}
    rows = []
    for container in found:
        row = {name: field(container, flags.no_trunc) for name, field in fields.items()}
        if "Image" in wanted:
            row["Image"] = images.name(container)
        if "labels" in wanted:
            row["labels"] = container.record.labels
        rows.append(row)
    listing.show(rows, form, lambda number: not found[number].state.running)
    return 0


def _select(context: Context) -> list[Container]:
    """Return the containers that the flags select."""
    flags, engine = context.flags, context.engine
    last = 1 if flags.latest else flags.last
    every = flags.all or last > 0
    if not flags.filter:
        found: list[Container] = engine.containers.list(all=every)
    else:
        from pyctr_lite.engine.report.filters.containers import ContainerFilter

        chosen = ContainerFilter(engine, flags.filter)
        every = every or chosen.names_status
        found = [item for item in engine.containers.list(all=every) if chosen.matches(item)]
    return found[:last] if last > 0 else found


class ImageNames:
    """Names of containers' images. An image whose name has moved to another image is shown by its id."""

    def __init__(self, engine: Any, whole: bool) -> None:
        self.store, self.whole = engine.images, whole
        self.ids: dict[str, str] = {}

    def name(self, container: Container) -> str:
        """Return the name or id of a container's image, as `ps` shows it."""
        name, id = container.record.image_name, container.record.image
        if name not in self.ids:
            try:
                self.ids[name] = self.store.get(name).id
            except (NotFound, Conflict, BrokenArchive):
                self.ids[name] = ""
        if self.ids[name] == id:
            return name
        return id if self.whole else id.removeprefix("sha256:")[:12]


def _command(container: Container, whole: bool) -> str:
    program, *arguments = container.record.args
    text = " ".join([program, *(f"'{word}'" if " " in word else word for word in arguments)])
    return quote(text if whole else tables.shorten(text, _COMMAND_LENGTH))


def quote(text: str) -> str:
    """Quote a command line as Go's strconv.Quote does."""
    out = []
    for letter in text:
        if letter in '"\\':
            out.append("\\" + letter)
        elif letter in "\n\t\r":
            out.append({"\n": "\\n", "\t": "\\t", "\r": "\\r"}[letter])
        else:
            out.append(letter if letter.isprintable() else f"\\x{ord(letter):02x}")
    return f'"{"".join(out)}"'


_layer_sizes: dict[str, int] = {}
"""Layer → bytes, so that a layer that containers share is walked once."""


def _size(container: Container, whole: bool) -> str:
    from pyctr_lite.formats import units
    from pyctr_lite.rootfs import walk

    used = walk.disk_usage(f"{container.directory}/upper")
    for layer in container.record.layers:
        if layer not in _layer_sizes:
            _layer_sizes[layer] = walk.disk_usage(layer)
    below = sum(_layer_sizes[layer] for layer in container.record.layers)
    return f"{units.human_size(used, 3)} (virtual {units.human_size(used + below, 3)})"


def _state(container: Container) -> dict[str, Any]:
    if not container.record.options.healthcheck:
        return container.state.inspect()
    from pyctr_lite.engine.life import health

    return health.state(container)


def _mounts(container: Container, whole: bool) -> str:
    names = [str(mount.get("Name") or mount.get("Source") or "") for mount in container.record.mounts]
    return ",".join(name if whole else tables.shorten(name, 15) for name in names if name)


def _ports(container: Container, whole: bool) -> str:
    if not container.record.ports or not container.state.Pid:
        return ""
    from pyctr_lite.cli.container import ps_ports
    from pyctr_lite.engine.report import network_settings

    return ps_ports.shown(network_settings.ports(container))


def _networks(container: Container, whole: bool) -> str:
    from pyctr_lite.engine.report import network_settings

    return ",".join(network_settings.network_names(container))


FIELD_OF: dict[str, Any] = {
    "ID": lambda container, whole: container.id if whole else container.id[:12],
    "Command": _command,
    "CreatedAt": lambda container, whole: times.created_at(timestamps.parse(container.record.created)),
    "RunningFor": lambda container, whole: times.ago(timestamps.parse(container.record.created)),
    "Status": lambda container, whole: times.status(_state(container)),
    "State": lambda container, whole: container.state.Status,
    "Ports": _ports,
    "Size": _size,
    "Names": lambda container, whole: container.name,
    "Labels": lambda container, whole: ",".join(
        f"{key}={value}" for key, value in container.record.labels.items()
    ),
    "Mounts": _mounts,
    "LocalVolumes": lambda container, whole: str(
        sum(mount["Type"] == "volume" for mount in container.record.mounts)
    ),
    "Networks": _networks,
    "Platform": lambda container, whole: "",
}

COMMANDS = {
    "ps": Command(
        "ps",
        "",
        "List containers",
        (
            Option("all", "bool", "Show all containers (default shows just running)", short="a"),
            Option("filter", "list", "Filter output based on conditions provided", short="f"),
            Option("format", "string", "Format output: 'table', 'table TEMPLATE', 'json' or a Go template"),
            Option("last", "int", "Show n last created containers (includes all states)", short="n", default=-1),
            Option("latest", "bool", "Show the latest created container (includes all states)", short="l"),
            Option("no-trunc", "bool", "Don't truncate output"),
            Option("quiet", "bool", "Only display container IDs", short="q"),
            Option("size", "bool", "Display total file sizes", short="s"),
        ),
        action=ps,
        aliases=("container ls", "container list", "container ps"),
        example="pyctr_lite ps -a --filter status=exited --format 'table {{.Names}}\\t{{.Status}}'",
    )
}
