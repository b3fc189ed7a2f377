"""`network ls` and `network inspect`."""

from __future__ import annotations

from pyctr_lite.cli.command.flags import Command, Option
from pyctr_lite.cli.screen import objects, tables
from pyctr_lite.engine.report import network as report
from pyctr_lite.formats import natural

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.cli.command.flags import Context

_FIELDS = {
    "CreatedAt": "CREATED AT",
    "Driver": "DRIVER",
    "ID": "NETWORK ID",
    "IPv4": "IPV4",
    "IPv6": "IPV6",
    "Internal": "INTERNAL",
    "Labels": "LABELS",
    "Name": "NAME",
    "Scope": "SCOPE",
}


def ls(context: Context) -> int:
    """List networks."""
    from pyctr_lite.engine.report.filters import networks as filters

    flags, engine = context.flags, context.engine
    dangling = any(text.partition("=")[0].strip().lower() == "dangling" for text in flags.filter)
    chosen = filters.NetworkFilter(flags.filter, used=report.used(engine) if dangling else ())
    found = [shown for shown in report.every(engine) if chosen.matches(shown)]
    rows = [
        _row(shown, whole=flags.no_trunc) for shown in sorted(found, key=lambda shown: natural.key(shown["Name"]))
    ]
    if flags.quiet and not flags.format:
        print("".join(f"{row['ID']}\n" for row in rows), end="")
        return 0
    tables.Listing(_FIELDS, ("ID", "Name", "Driver", "Scope"), labels="labels").show(rows, flags.format or "")
    return 0


def inspect(context: Context) -> int:
    """Show networks as JSON, or by a template."""
    return objects.show(context, lambda name: report.network(context.engine, name))


def _row(shown: dict[str, Any], *, whole: bool) -> dict[str, Any]:
    return {
        "CreatedAt": _go_time(shown["Created"]),
        "Driver": shown["Driver"],
        "ID": shown["Id"] if whole else shown["Id"][:12],
        "IPv4": str(shown["EnableIPv4"]).lower(),
        "IPv6": str(shown["EnableIPv6"]).lower(),
        "Internal": str(shown["Internal"]).lower(),
        "Labels": ",".join(f"{key}={value}" for key, value in sorted(shown["Labels"].items())),
        "Name": shown["Name"],
        "Scope": shown["Scope"],
        "labels": shown["Labels"],
    }


def _go_time(text: str) -> str:
    """Return a time in UTC as Go's Time.String does."""
    day, _, clock = text.removesuffix("Z").partition("T")
    seconds, _, fraction = clock.partition(".")
    digits = fraction.rstrip("0")
    return f"{day} {seconds}{digits and '.' + digits} +0000 UTC"


COMMANDS = {
    "network ls": Command(
        "network ls",
        "",
        "List networks",
        (
            Option("filter", "list", 'Provide filter values (e.g. "driver=bridge")', short="f"),
            Option("format", "string", "Format output: 'table', 'table TEMPLATE', 'json' or a Go template"),
            Option("no-trunc", "bool", "Do not truncate the output"),
            Option("quiet", "bool", "Only display network IDs", short="q"),
        ),
        action=ls,
        aliases=("network list",),
        example="pyctr_lite network ls --filter type=custom --format '{{.Name}} {{.Driver}}'",
    ),
    "network inspect": Command(
        "network inspect",
        "NETWORK [NETWORK...]",
        "Display detailed information on one or more networks",
        (
            Option("format", "string", "Format output: 'json' or a Go template", short="f"),
            Option(
                "verbose", "bool", "Verbose output for diagnostics (no effect: only swarm has more)", short="v"
            ),
        ),
        action=inspect,
        example="pyctr_lite network inspect -f '{{json .IPAM.Config}}' bridge",
    ),
}
