"""Leftovers of networks: taken addresses, names, elements of the packet filter, half networks.

All engines of a machine share its packet filter. An element is ours if it leads into the subnet of a network of
ours whose bridge exists: no other engine can have a network in that subnet.
"""

from __future__ import annotations

import os
import time
from functools import partial

from pyctr_lite.errors import Conflict
from pyctr_lite.networks import DEFAULT, bridge, elements, names, rules
from pyctr_lite.networks.pool import Addresses, Subnet
from pyctr_lite.rootfs import walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyctr_lite.engine.stores.networks import Networks
    from pyctr_lite.networks.store import Network

    IsIdle = Callable[[str], bool]
    Row = tuple[str, str, Callable[[], None]]

SETTLED = 60
"""Seconds after which what is half made is a leftover: it takes milliseconds to make it."""


def find(networks: Networks, is_idle: IsIdle) -> Iterator[Row]:
    """Yield each leftover: its kind, its path or a text, and a function that removes it.

    `is_idle` returns whether no container with an id is running or being started.
    """
    for network in networks.list():
        if network.name != DEFAULT:
            yield from _names(networks.names_directory(network.id), is_idle)
        yield from _addresses(networks, network, is_idle)
    yield from _half_networks(networks)
    yield from _run_directories(networks, is_idle)


def repair(networks: Networks, is_idle: IsIdle) -> bool:
    """Remove all leftovers; return whether there were any."""
    removed = False
    for _, _, remove in find(networks, is_idle):
        try:
            remove()
        except (FileNotFoundError, Conflict):
            continue  # another command removes it, too
        removed = True
    return removed


def _names(directory: str, is_idle: IsIdle) -> Iterator[Row]:
    for id in sorted(names.containers(directory)):
        if is_idle(id):
            yield "DNS name", f"{directory}/{id[:12]}", partial(names.withdraw, directory, id)
    yield from _half_files("DNS name", directory)


def _addresses(networks: Networks, network: Network, is_idle: IsIdle) -> Iterator[Row]:
    """Find addresses of containers that do not run, and elements that lead to an address that nobody has."""
    with bridge.Sockets() as sockets:
        # Before the addresses are read: a container takes its address before it is led to, and gives it back last.
        published = elements.published(sockets.filter)
        own = elements.own(sockets.filter)
        is_ours = bridge.is_there(sockets, network)
    directory = networks.addresses_directory(network.id)
    owners = networks.addresses(network)[0].owners()
    for address, id in sorted(owners.items()):
        if is_idle(id):
            yield "address", f"{directory}/{address}", partial(_release, networks, network, address, id, is_idle)
    yield from _half_files("address", directory)
    if not is_ours:
        return
    for port in published:
        if port.address not in owners and _is_in(network, port.address):
            text = f"{port.protocol} {port.host}:{port.port} to {port.address}:{port.container_port}"
            yield "published port", text, partial(_withdraw, networks, network, port.address)
    for address in own:
        if address not in owners and _is_in(network, address):
            yield "address", f"{address} in the packet filter", partial(_withdraw, networks, network, address)


def _half_files(kind: str, directory: str) -> Iterator[Row]:
    """Find files that were not given a name."""
    for path in _entries(directory):
        if os.path.basename(path).startswith(".") and _is_settled(path):
            yield kind, path, partial(os.unlink, path)


def _is_in(network: Network, address: str) -> bool:
    bits = 128 if ":" in address else 32
    return any(Subnet(row[0]).overlaps(Subnet(f"{address}/{bits}")) for row in network.subnets)


def _release(networks: Networks, network: Network, address: str, id: str, is_idle: IsIdle) -> None:
    """Give an address back for a container, and what leads to it, unless it has been started in the meantime."""
    if is_idle(id):
        with bridge.Sockets() as sockets:
            if bridge.is_there(sockets, network):
                _end_elements(sockets, address)
        networks.addresses(network)[0].release(address, id)


def _withdraw(networks: Networks, network: Network, address: str) -> None:
    """Remove the elements that lead to an address that nobody has, and hold it meanwhile."""
    for addresses in networks.addresses(network):
        if (":" in str(addresses.subnet)) == (":" in address):
            holder = f"leftover {os.getpid()}"
            addresses.take(holder, address)
            try:
                with bridge.Sockets() as sockets:
                    _end_elements(sockets, address)
            finally:
                addresses.release(address, holder)


def _end_elements(sockets: bridge.Sockets, address: str) -> None:
    for port in elements.published(sockets.filter):
        if port.address == address:
            rules.withdraw(sockets.filter, port.protocol, port.host, port.port)
    rules.remove_own(sockets.filter, address)


def _half_networks(networks: Networks) -> Iterator[Row]:
    """Find records whose creation or removal was interrupted."""
    for path in _entries(networks.directory):
        if path.endswith((".creating", ".removing")) and _is_settled(path):
            yield "network", path, partial(walk.remove_tree, path)


def _run_directories(networks: Networks, is_idle: IsIdle) -> Iterator[Row]:
    """Find directories of addresses and names of removed networks."""
    for path in _entries(f"{networks.paths.run}/networks"):
        id = os.path.basename(path)
        owners = Addresses(networks.addresses_directory(id), Subnet("0.0.0.0/0"), None, ()).owners().values()
        if not networks.exists(id) and all(map(is_idle, owners)):
            yield "network", path, partial(walk.remove_tree, path)


def _is_settled(path: str) -> bool:
    try:
        return time.time() - os.lstat(path).st_mtime > SETTLED
    except FileNotFoundError:
        return False


def _entries(directory: str) -> list[str]:
    try:
        return [f"{directory}/{name}" for name in sorted(os.listdir(directory))]
    except FileNotFoundError:
        return []
