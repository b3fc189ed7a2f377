"""A change of a running container's networks, as far as its other networks and names follow it."""

from __future__ import annotations

from pyctr_lite.errors import NotFound
from pyctr_lite.networks import DEFAULT, bridge, link, names, pool, rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyctr_lite.engine.network.settings import NetworkSettings
    from pyctr_lite.engine.stores.networks import Networks


def add_routes(pid: int, settings: NetworkSettings) -> None:
    """Give a container a default route by each family's first network with a way out, unless it has one.

    A container with NET_ADMIN that has changed its links (their names, addresses, or state) sees to routes itself.
    """
    with bridge.socket_inside(pid) as there:
        for endpoint in settings.networks.values():
            for gateway in filter(None, (endpoint["Gateway"], endpoint["IPv6Gateway"])):
                try:
                    link.add_route(there, link.index(there, endpoint["Interface"]), gateway)
                except OSError:
                    pass


def mend(networks: Networks, id: str, pid: int, settings: NetworkSettings, record: Iterable[str]) -> None:
    """Undo what a killed `network connect` had begun, in the networks of the record that the settings lack.

    `pid` is that of a process in the container's network namespace, 0 if the namespace has ended.
    """
    for name in record:
        if name in settings.networks:
            continue
        try:
            network = networks.get(name)
        except NotFound:
            continue
        if name != DEFAULT:
            names.withdraw(networks.names_directory(network.id), id)
        taken = networks.addresses(network)[0]
        for address in [address for address, owner in taken.owners().items() if owner == id]:
            with bridge.Sockets() as sockets:
                rules.remove_own(sockets.filter, address)
            if pid and ":" not in address:
                _remove_link(pid, pool.mac_of(address))
            taken.release(address, id)


def _remove_link(pid: int, mac: str) -> None:
    with bridge.socket_inside(pid) as there:
        for found in link.links(there):
            if found.mac == mac:
                link.remove(there, found.name)


def withdraw_names(networks: Networks, id: str, settings: NetworkSettings) -> None:
    """Take a container's names in all its networks away. Idempotent."""
    for network, endpoint in settings.networks.items():
        if network != DEFAULT:
            names.withdraw(networks.names_directory(endpoint["NetworkID"]), id)
