"""The networks and ports of a container under Docker's keys, for `inspect`, `ps` and `port`."""

from __future__ import annotations

from pyctr_lite.engine.network.settings import NetworkSettings
from pyctr_lite.networks import DEFAULT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.engine.container.container import Container

    Ports = dict[str, list[dict[str, str]] | None]

_NO_ADDRESS = {
    "EndpointID": "",
    "Gateway": "",
    "GlobalIPv6Address": "",
    "GlobalIPv6PrefixLen": 0,
    "IPAddress": "",
    "IPPrefixLen": 0,
    "IPv6Gateway": "",
    "MacAddress": "",
}


def settings(item: Container) -> dict[str, Any]:
    """Return Docker's NetworkSettings. A container that does not run has no addresses and ports."""
    found = _read(item)
    default = found.networks.get(DEFAULT, {})
    return {
        "Bridge": "",
        "SandboxID": item.id if item.state.Pid else "",
        "SandboxKey": f"/proc/{item.state.Pid}/ns/net" if item.state.Pid else "",
        "Ports": _ports(item, found),
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        **{key: default.get(key, empty) for key, empty in _NO_ADDRESS.items()},
        "Networks": {name: _endpoint(item, name, found.networks.get(name, {})) for name in network_names(item)},
    }


def network_names(item: Container) -> list[str]:
    """Return the names of a container's networks, sorted; also the modes none and host, as Docker does."""
    options = item.record.options
    if options.network in ("none", "host"):
        return [options.network]
    return sorted(options.networks)


def ports(item: Container) -> Ports:
    """Return the ports of a running container; a port that is exposed only has None."""
    return _ports(item, _read(item))


def published(item: Container) -> list[tuple[str, str, int, int]]:
    """Return the published ports of a running container: protocol, address, port, the container's port."""
    return _read(item).bindings()


def port_bindings(item: Container) -> Ports:
    """Return the ports as -p asked for them, Docker's PortBindings: without those of -P."""
    if not item.record.options.publish:
        return {}
    from pyctr_lite.engine.creation import networks
    from pyctr_lite.engine.state.options import ContainerOptions

    return networks.bindings(ContainerOptions(publish=item.record.options.publish), {})


def exposed(item: Container, image_config: dict[str, Any]) -> dict[str, Any] | None:
    """Return Docker's ExposedPorts: those of the image, of --expose and of -p. None without any."""
    return {name: {} for name in sorted(item.record.ports)} or image_config.get("ExposedPorts") or None


def _read(item: Container) -> NetworkSettings:
    return NetworkSettings.read(item.runtime) if item.state.Pid else NetworkSettings()


def _ports(item: Container, found: NetworkSettings) -> Ports:
    return {name: found.ports.get(name) for name in sorted(item.record.ports)} if found.main() else {}


def _endpoint(item: Container, name: str, endpoint: dict[str, Any]) -> dict[str, Any]:
    row = item.record.options.networks.get(name) or {}
    given = {"IPv4Address": row.get("ip"), "IPv6Address": row.get("ip6")}
    aliases = row.get("aliases") or None
    known = [item.name, *(aliases or []), item.id[:12]] if name not in (DEFAULT, "none", "host") else None
    return {
        "IPAMConfig": {key: value for key, value in given.items() if value} or None,
        "Links": None,
        "Aliases": aliases,
        "DriverOpts": None,
        "GwPriority": 0,
        "NetworkID": endpoint.get("NetworkID", ""),
        **{key: endpoint.get(key, empty) for key, empty in _NO_ADDRESS.items()},
        "MacAddress": endpoint.get("MacAddress") or row.get("mac", ""),
        "DNSNames": known,
    }
