"""`network inspect` and the rows of `network ls`: networks under Docker's keys, with the modes none and host."""

from __future__ import annotations

from pyctr_lite.engine.container import containers
from pyctr_lite.engine.network.settings import NetworkSettings
from pyctr_lite.engine.stores import networks
from pyctr_lite.formats import timestamps
from pyctr_lite.networks import DEFAULT, store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.engine.home import Home
    from pyctr_lite.networks.store import Network

_DRIVERS = {"none": "null", "host": "host"}


def network(home: Home, reference: str) -> dict[str, Any]:
    """Return the object that `docker network inspect` shows. Raises NotFound, or Conflict for an ambiguous id."""
    name = home.networks.identify(reference)
    shown = _mode(name) if name in networks.MODES else _bridge(home.networks.get(name))
    return shown | {"Containers": _members(home, name)}


def every(home: Home) -> list[dict[str, Any]]:
    """Return all networks, with the default one and the modes, as `network` does but without their containers."""
    home.networks.get(DEFAULT)  # it is made on first use, and listed always
    return [*map(_bridge, home.networks.list()), *map(_mode, networks.MODES)]


def used(home: Home) -> set[str]:
    """Return the names of the networks that a running container is connected to."""
    found = {item.name for item in home.networks.list() if home.networks.owners(item)}
    running = containers.read_all(home, all=False)[0]
    return found | {item.record.options.network for item in running}


def _bridge(item: Network) -> dict[str, Any]:
    return {
        **_common(item.name, item.id, item.created, "bridge"),
        "EnableIPv6": item.ipv6,
        "IPAM": {"Driver": "default", "Options": {}, "Config": [_row(item, *row) for row in item.subnets]},
        "Internal": item.internal,
        "Attachable": item.attachable,
        "Options": _default_options(item) if item.name == DEFAULT else item.options,
        "Labels": item.labels,
    }


def _mode(name: str) -> dict[str, Any]:
    shown = _common(name, networks.mode_id(name), timestamps.NEVER, _DRIVERS[name])
    return shown | {"IPAM": {"Driver": "default", "Options": None, "Config": []}}


def _common(name: str, id: str, created: str, driver: str) -> dict[str, Any]:
    """Return all keys in Docker's order, with the values of a network that has none of it."""
    return {
        "Name": name,
        "Id": id,
        "Created": created,
        "Scope": "local",
        "Driver": driver,
        "EnableIPv4": True,
        "EnableIPv6": False,
        "IPAM": {},
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {},
        "Options": {},
        "Labels": {},
    }


def _row(item: Network, subnet: str, gateway: str, within: str) -> dict[str, Any]:
    reserved = {name: address for name, address in item.reserved.items() if (":" in address) == (":" in subnet)}
    return {
        "Subnet": subnet,
        **({"IPRange": within} if within else {}),
        "Gateway": gateway,
        **({"AuxiliaryAddresses": reserved} if reserved else {}),
    }


def _default_options(item: Network) -> dict[str, str]:
    """Return the options of the default network with their defaults, as Docker shows them."""
    return {
        "com.docker.network.bridge.default_bridge": "true",
        store.OPTIONS["icc"]: str(item.together).lower(),
        store.OPTIONS["masquerade"]: str(item.masquerade).lower(),
        store.OPTIONS["host_binding"]: item.host_binding or "0.0.0.0",
        store.OPTIONS["bridge.name"]: item.bridge,
        store.OPTIONS["mtu"]: str(item.mtu),
    }


def _members(home: Home, name: str) -> dict[str, Any]:
    """Return the running containers on a network, by their ids."""
    found = {}
    for item in containers.read_all(home, all=False)[0]:
        endpoint: dict[str, Any] | None
        if name in networks.MODES:
            endpoint = {} if item.record.options.network == name else None
        else:
            endpoint = NetworkSettings.read(item.runtime).networks.get(name)
        if endpoint is not None:
            found[item.id] = {
                "Name": item.name,
                "EndpointID": endpoint.get("EndpointID", ""),
                "MacAddress": endpoint.get("MacAddress", ""),
                "IPv4Address": _with_prefix(endpoint, "IPAddress", "IPPrefixLen"),
                "IPv6Address": _with_prefix(endpoint, "GlobalIPv6Address", "GlobalIPv6PrefixLen"),
            }
    return found


def _with_prefix(endpoint: dict[str, Any], address: str, length: str) -> str:
    return f"{endpoint[address]}/{endpoint[length]}" if endpoint.get(address) else ""
