"""`port`."""

from __future__ import annotations

from pyctr_lite.cli.command.flags import Command
from pyctr_lite.errors import InvalidArgument, NotFound
from pyctr_lite.formats import natural, number
from pyctr_lite.networks import published

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.cli.command.flags import Context


def port(context: Context) -> int:
    """List the published ports of a container, or those that lead to one of its ports."""
    from pyctr_lite.engine.report import network_settings

    reference, *wanted = context.flags.arguments
    ports = network_settings.ports(context.engine.containers.get(reference))
    if not wanted:
        lines = [f"{name} -> {_address(row)}" for name, rows in ports.items() for row in rows or ()]
    else:
        inner, _, protocol = wanted[0].partition("/")
        if not number.is_whole(inner, 65535):
            raise InvalidArgument(
                f'Error: invalid port ({inner}): strconv.ParseUint: parsing "{inner}": invalid syntax'
            )
        lines = [_address(row) for row in ports.get(f"{inner}/{protocol or 'tcp'}") or ()]
        if not lines:
            raise NotFound(
                f"No public port '{wanted[0]}' published for {reference}",
                "pyctr_lite ps shows the published ports",
            )
    print("".join(f"{line}\n" for line in sorted(lines, key=natural.key)), end="")
    return 0


def _address(row: dict[str, str]) -> str:
    return published.shown(row["HostIp"], row["HostPort"])


COMMANDS = {
    "port": Command(
        "port",
        "CONTAINER [PRIVATE_PORT[/PROTO]]",
        "List port mappings or a specific mapping for the container",
        action=port,
        aliases=("container port",),
        example="pyctr_lite port web 80/tcp",
    ),
}
