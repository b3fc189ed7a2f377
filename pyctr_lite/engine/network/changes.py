"""A change of a running container's networks, as far as its other networks, ports and names follow it."""

from __future__ import annotations

from pyctr_lite.networks import DEFAULT, bridge, link, names, rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.network.settings import NetworkSettings
    from pyctr_lite.engine.stores.networks import Networks


def lead_ports(sockets: bridge.Sockets, settings: NetworkSettings) -> None:
    """Lead the published ports to the present main endpoint; without one, to nothing."""
    main = settings.main()
    for protocol, host, port, inner in settings.bindings():
        rules.withdraw(sockets.filter, protocol, host, port)
        if address := main.get("GlobalIPv6Address" if ":" in host else "IPAddress"):
            rules.publish(sockets.filter, protocol, host, port, address, inner)


def add_routes(pid: int, settings: NetworkSettings) -> None:
    """Give a container a default route by each family's first network with a way out, unless it has one."""
    with bridge.socket_inside(pid) as there:
        for endpoint in settings.networks.values():
            for gateway in filter(None, (endpoint["Gateway"], endpoint["IPv6Gateway"])):
                try:
                    link.add_route(there, link.index(there, endpoint["Interface"]), gateway)
                except FileExistsError:
                    pass


def withdraw_names(networks: Networks, id: str, settings: NetworkSettings) -> None:
    """Take a container's names in all its networks away. Idempotent."""
    for network, endpoint in settings.networks.items():
        if network != DEFAULT:
            names.withdraw(networks.names_directory(endpoint["NetworkID"]), id)
