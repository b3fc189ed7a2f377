"""The wishes of a container for a network: a row of ContainerOptions.networks (--ip, --network-alias, …)."""

from __future__ import annotations

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.networks import DEFAULT, link

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.networks.store import Network

_KEYS = {"ip": str, "ip6": str, "mac": str, "aliases": list}


def check(name: str, row: Any, network: Network | None = None) -> None:
    """Raise InvalidArgument unless a row of ContainerOptions.networks has valid values for the network `name`.

    With the network itself, also if it has no addresses of the kind of --ip6.
    """
    if not isinstance(row, dict) or any(type(value) is not _KEYS.get(key) for key, value in row.items()):
        raise InvalidArgument(f"networks[{name!r}] must be a dict with ip, ip6, mac (text) and aliases (a list)")
    if name == DEFAULT:
        if row.get("ip") or row.get("ip6"):
            raise InvalidArgument(
                "user specified IP address is supported on user defined networks only",
                "pyctr_lite network create --subnet … NAME",
            )
        if row.get("aliases"):
            raise InvalidArgument(
                "network-scoped alias is supported only for containers in user defined networks",
                "pyctr_lite network create NAME",
            )
    for key, version in (("ip", "."), ("ip6", ":")):
        if row.get(key):
            try:
                link.parse(row[key])
            except ValueError:
                raise InvalidArgument(f"invalid IPv{'4' if key == 'ip' else '6'} address: {row[key]}") from None
            if version not in row[key]:
                raise InvalidArgument(f"invalid IPv{'4' if key == 'ip' else '6'} address: {row[key]}")
    if network is not None and row.get("ip6") and not network.ipv6:
        raise InvalidArgument(f"network {name} has no IPv6 subnet for {row['ip6']}", "create it with --ipv6")
    if row.get("mac"):
        check_mac(row["mac"])


def check_mac(text: str) -> None:
    """Raise InvalidArgument unless a text is the MAC address of one interface, such as 02:42:ac:11:00:02."""
    parts = text.replace("-", ":").split(":")
    valid = len(parts) == 6 and all(
        len(part) == 2 and set(part) <= set("0123456789abcdefABCDEF") for part in parts
    )
    if not valid:
        raise InvalidArgument(f"invalid MAC address: {text}", "such as 02:42:ac:11:00:02")
    if parts[0][1] in "13579bBdDfF" or set("".join(parts)) == {"0"}:
        raise InvalidArgument(f"invalid MAC address: {text}", "it is a multicast address, or all zeros")
