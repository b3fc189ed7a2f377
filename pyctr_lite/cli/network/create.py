"""`network create`."""

from __future__ import annotations

from pyctr_lite.cli.command.flags import Command, Option
from pyctr_lite.errors import Conflict, InvalidArgument, NotFound
from pyctr_lite.networks import link
from pyctr_lite.networks.pool import Subnet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from pyctr_lite.cli.command.flags import Context

    Rows = list[tuple[str, str, str]]

_OTHER_DRIVERS = {
    "host": 'only one instance of "host" network is allowed',
    "null": 'only one instance of "null" network is allowed',
}


def create(context: Context) -> int:
    """Create a network and print its id."""
    flags = context.flags
    rows = _rows(flags.subnet, flags.gateway, flags.ip_range)
    reserved = _pairs(flags.aux_address)
    for address in reserved.values():
        if not any(_contains(subnet, address) for subnet, _, _ in rows):
            raise InvalidArgument(f"no matching subnet for aux-address {address}")
    if flags.driver in _OTHER_DRIVERS:
        raise Conflict(_OTHER_DRIVERS[flags.driver])
    if flags.driver != "bridge":
        raise NotFound(f'plugin "{flags.driver}" not found', "the only driver is bridge")
    if flags.ipam_driver != "default":
        raise NotFound(f'plugin "{flags.ipam_driver}" not found', "the only IPAM driver is default")
    if flags.scope not in ("", "local"):
        raise InvalidArgument(
            f"cannot create a {flags.scope} scoped network when {flags.scope} is not active",
            "the only scope is local",
        )
    network = context.engine.networks.make(
        flags.arguments[0],
        rows,
        ipv6=flags.ipv6,
        internal=flags.internal,
        attachable=flags.attachable,
        labels=_pairs(flags.label),
        options=_pairs(flags.opt),
        reserved=reserved,
    )
    print(network.id)
    return 0


def _rows(subnets: list[str], gateways: list[str], ranges: list[str]) -> Rows:
    """Return subnet, gateway and range for each subnet. The rules and texts are those of Docker's client."""
    if len(subnets) < max(len(gateways), len(ranges)):
        raise InvalidArgument("every ip-range or gateway must have a corresponding subnet")
    parsed = [Subnet(text) for text in subnets]
    for number, one in enumerate(parsed):
        if any(one.overlaps(other) for other in parsed[:number]):
            raise InvalidArgument("multiple overlapping subnet configuration is not supported")
    rows = []
    matched: set[str] = set()
    for subnet in subnets:
        within = [text for text in ranges if _contains(subnet, text)]
        gateway = [text for text in gateways if _contains(subnet, text)]
        if len(within) > 1:
            shown = f"{within[1]}, {within[0]}"
            raise InvalidArgument(f"cannot configure multiple ranges ({shown}) on the same subnet ({subnet})")
        if len(gateway) > 1:
            shown = f"{gateway[1]}, {gateway[0]}"
            raise InvalidArgument(f"cannot configure multiple gateways ({shown}) for the same subnet ({subnet})")
        rows.append((subnet, "".join(gateway), "".join(within)))
        matched.update(within, gateway)
    for name, texts in (("range", ranges), ("gateway", gateways)):
        for text in texts:
            if text not in matched:
                hint = "" if _is_address(text) else f"{text!r} is not an address such as 172.30.0.1"
                raise InvalidArgument(f"no matching subnet for {name} {text}", hint)
    return rows


def _contains(subnet: str, text: str) -> bool:
    """Return whether a subnet contains an address, or the first address of a range."""
    if not _is_address(text):
        return False
    family, packed = link.parse(text.partition("/")[0])
    outer = Subnet(subnet)
    return family == outer.family and int.from_bytes(packed) in outer


def _is_address(text: str) -> bool:
    """Return whether a text is an IP address, perhaps with the length of a prefix."""
    try:
        link.parse(text.partition("/")[0])
    except ValueError:
        return False
    return True


def _pairs(texts: Iterable[str]) -> dict[str, Any]:
    return dict(text.partition("=")[::2] for text in texts)


COMMANDS = {
    "network create": Command(
        "network create",
        "NETWORK",
        "Create a network",
        (
            Option("attachable", "bool", "Enable manual container attachment"),
            Option("aux-address", "list", "Addresses that no container gets (NAME=ADDRESS)", metavar="map"),
            Option("driver", "string", "Driver to manage the Network", short="d", default="bridge"),
            Option("gateway", "list", "IPv4 or IPv6 Gateway for the master subnet"),
            Option("internal", "bool", "Restrict external access to the network"),
            Option("ip-range", "list", "Allocate container ip from a sub-range"),
            Option("ipam-driver", "string", "IP Address Management Driver", default="default"),
            Option("ipv6", "bool", "Enable IPv6 address assignment"),
            Option("label", "list", "Set metadata on a network"),
            Option("opt", "list", "Set driver specific options", short="o"),
            Option("scope", "string", "Control the network's scope", default=""),
            Option("subnet", "list", "Subnet in CIDR format that represents a network segment"),
        ),
        action=create,
        example="pyctr_lite network create --subnet 172.30.0.0/16 --internal back",
        differs="The only driver is bridge. An IPv6 subnet does not need --ipv6. --attachable has no "
        "effect: every container can be connected to every network. A subnet that was not given is replaced "
        "by another one if this machine has another use for it after a reboot.",
    ),
}
