"""`network connect` and `network disconnect`."""

from __future__ import annotations

import sys

from pyctr_lite.cli.command.flags import Command, Option
from pyctr_lite.cli.container import networks
from pyctr_lite.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.cli.command.flags import Context


def connect(context: Context) -> int:
    """Connect a container to a network."""
    from pyctr_lite.engine.life import networks as connections

    flags, engine = context.flags, context.engine
    if flags.link:
        networks.refuse_links("--alias")
    network, reference = flags.arguments
    given = {"ip": flags.ip, "ip6": flags.ip6, "aliases": flags.alias}
    row = {key: value for key, value in given.items() if value}
    if not connections.connect(engine.containers.get(reference), network, row):
        _warn(reference)
    networks.warn_of_aliases(flags.alias)
    return 0


def disconnect(context: Context) -> int:
    """Disconnect a container from a network."""
    from pyctr_lite.engine.life import networks as connections

    flags, engine = context.flags, context.engine
    network, reference = flags.arguments
    try:
        container = engine.containers.get(reference)
    except NotFound:
        if not flags.force:
            raise
        engine.networks.identify(network)
        raise NotFound(f"endpoint {reference} not found") from None
    if not connections.disconnect(container, network):
        _warn(reference)
    return 0


def _warn(container: str) -> None:
    print(
        f"WARNING: the monitor of {container}, perhaps of an older version, did not follow: "
        "restart the container for its names and published ports",
        file=sys.stderr,
    )


COMMANDS = {
    "network connect": Command(
        "network connect",
        "NETWORK CONTAINER",
        "Connect a container to a network",
        (
            Option("alias", "list", "Add network-scoped alias for the container"),
            Option("ip", "string", 'IPv4 address (e.g., "172.30.100.104")'),
            Option("ip6", "string", 'IPv6 address (e.g., "2001:db8::33")'),
            Option("link", "list", "Add link to another container", hidden=True),
        ),
        action=connect,
        example="pyctr_lite network connect --alias db back postgres",
        differs="Links are refused: containers on a network find each other by name.",
    ),
    "network disconnect": Command(
        "network disconnect",
        "NETWORK CONTAINER",
        "Disconnect a container from a network",
        (Option("force", "bool", "Force the container to disconnect from a network", short="f"),),
        action=disconnect,
        example="pyctr_lite network disconnect back postgres",
    ),
}
