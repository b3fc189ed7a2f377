"""Connect a running container to a network, and disconnect it.  [hot]

Everything is bound to the container's life: its addresses and names are files in the run directory with its id,
its cable vanishes with its network namespace, and network.json lists its published ports.
"""

from __future__ import annotations

import os

from pyctr_lite.engine.events import writer as events
from pyctr_lite.engine.network.settings import NetworkSettings
from pyctr_lite.errors import Conflict, NotFound
from pyctr_lite.formats import number
from pyctr_lite.networks import DEFAULT, bridge, rules
from pyctr_lite.networks.pool import Subnet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from pyctr_lite.engine.stores.networks import Networks
    from pyctr_lite.networks.store import Network


def connect(
    networks: Networks, sockets: bridge.Sockets, id: str, pid: int, name: str, wanted: dict[str, Any], inside: str
) -> dict[str, Any]:
    """Connect a process's network namespace to a network, by a link called `inside`. Returns the endpoint.

    `wanted` has the addresses that the user chose: ip, ip6, mac. Raises NotFound, Conflict or InvalidArgument.
    """
    network = networks.get(name)
    with networks.hold():
        network = networks.reread(network)
        index = networks.ensure(sockets, network, fixed=bool(wanted.get("ip") or wanted.get("ip6")))
        address = _take(networks, network, id, wanted)  # from now on the network is not removed
    link = f"pv-{os.urandom(6).hex()}"
    try:
        bridge.plug_in(sockets, network, index, pid, link, inside, address)
    except BaseException:
        bridge.unplug(sockets, link, address)
        _give_back(networks, network, id, (address.ip, address.ip6))
        raise
    events.emit_network(networks.paths, "connect", network, container=id)
    return _endpoint(network, address, link, inside) | {"Aliases": wanted.get("aliases") or []}


def disconnect(
    networks: Networks,
    sockets: bridge.Sockets,
    id: str,
    network: Network,
    endpoint: dict[str, Any],
    *,
    ending: bool = False,
) -> None:
    """Undo `connect` and `register`. Idempotent. `ending`: the container's network namespace is about to end."""
    address = bridge.Address(endpoint["IPAddress"], endpoint["GlobalIPv6Address"], endpoint["MacAddress"])
    bridge.unplug(sockets, endpoint["Link"], address, ending=ending)
    if endpoint.get("Guarded"):
        from pyctr_lite.networks import guard

        guard.remove(sockets.filter, endpoint["Link"])
    _withdraw_names(networks, network, id)
    _give_back(networks, network, id, (address.ip, address.ip6))
    events.emit_network(networks.paths, "disconnect", network, container=id)


def register(networks: Networks, id: str, container: str, network: str, endpoint: dict[str, Any]) -> None:
    """Give a container its names in a network. The default network has no names, as in Docker."""
    if network != DEFAULT:
        from pyctr_lite.networks import names

        addresses = [endpoint[key] for key in ("IPAddress", "GlobalIPv6Address") if endpoint[key]]
        directory = networks.names_directory(endpoint["NetworkID"])
        names.register(directory, id, container, endpoint["Aliases"], addresses)


def release(networks: Networks, sockets: bridge.Sockets, id: str, settings: NetworkSettings) -> None:
    """Give back all that a container has of its networks at its end. Idempotent."""
    withdraw_ports(sockets, settings)
    for endpoint in settings.networks.values():
        try:
            network = networks.get(endpoint["NetworkID"])
        except NotFound:
            continue  # it was removed by force, with its directory of addresses
        disconnect(networks, sockets, id, network, endpoint, ending=True)


def publish(networks: Networks, sockets: bridge.Sockets, settings: NetworkSettings, container: str) -> None:
    """Lead the published ports to the main endpoint. Raises Conflict if another engine has published one."""
    main, bindings = settings.main(), settings.bindings()
    for protocol, host, port, inner in bindings:
        address = main["GlobalIPv6Address" if ":" in host else "IPAddress"]
        if not address:  # a container without an IPv6 address: `proxy` hands on what comes by IPv6
            rules.guard(sockets.filter, protocol, host, port)
            continue
        try:
            rules.publish(sockets.filter, protocol, host, port, address, inner)
        except FileExistsError:
            raise allocated(networks, sockets, settings, container, protocol, host, port) from None
    if flows := [(host, port) for protocol, host, port, _ in bindings if protocol == "udp"]:
        from pyctr_lite.networks import conntrack

        conntrack.forget_ports(sockets.filter, sockets.route, flows)


def withdraw_ports(sockets: bridge.Sockets, settings: NetworkSettings) -> None:
    """Undo `publish`, before the main endpoint changes. Idempotent."""
    bindings = settings.bindings()
    for protocol, host, port, _ in bindings:
        rules.withdraw(sockets.filter, protocol, host, port)
    if any(protocol == "udp" for protocol, *_ in bindings):
        from pyctr_lite.networks import conntrack

        main = settings.main()
        for address in filter(None, (main.get("IPAddress"), main.get("GlobalIPv6Address"))):
            conntrack.forget_container(sockets.filter, address)


def allocated(
    networks: Networks,
    sockets: bridge.Sockets,
    settings: NetworkSettings,
    container: str,
    protocol: str,
    host: str,
    port: int,
) -> Conflict:
    """Return the error that a container has published a port, in Docker's words; the hint says of which engine."""
    from pyctr_lite.engine.network import neighbours

    shown = f"[{host}]" if ":" in host else host
    root = neighbours.publisher(sockets, networks.paths.root, protocol, host, port)
    return Conflict(
        f"driver failed programming external connectivity on endpoint {container} "
        f"({settings.main()['EndpointID']}): Bind for {shown}:{port} failed: port is already allocated",
        f"pyctr_lite --root {root} ps shows its container" if root else "pyctr_lite ps shows the published ports",
    )


def release_lost(networks: Networks, id: str, directory: str, names: Iterable[str]) -> None:
    """Give back what a container has whose monitor was killed. Idempotent.

    `directory` is its runtime directory, `names` are the networks in its record: if the monitor was killed before
    it wrote network.json, the container's addresses and names in them are found by its id. After a reboot the
    elements of its addresses and ports are gone, and those that there are belong to other engines.
    """
    settings = NetworkSettings.read(directory)
    with bridge.Sockets() as sockets:
        _keep_networks_with_bridges(networks, sockets, settings)
        keep_own_ports(sockets, settings)
        release(networks, sockets, id, settings)
    for name in names:
        try:
            network = networks.get(name)
        except NotFound:
            continue
        _withdraw_names(networks, network, id)
        owners = networks.addresses(network)[0].owners()
        _give_back(networks, network, id, [address for address, owner in owners.items() if owner == id])


def _keep_networks_with_bridges(networks: Networks, sockets: bridge.Sockets, settings: NetworkSettings) -> None:
    known = {network.id: network for network in networks.list()}
    for name, endpoint in list(settings.networks.items()):
        network = known.get(endpoint["NetworkID"])
        if network is None or not bridge.is_there(sockets, network):
            del settings.networks[name]


def keep_own_ports(sockets: bridge.Sockets, settings: NetworkSettings) -> None:
    """Forget those ports in the settings that do not lead to the container: another one may have them."""
    from pyctr_lite.networks import elements

    own = {endpoint[key] for endpoint in settings.networks.values() for key in ("IPAddress", "GlobalIPv6Address")}
    led = {port[:3] for port in elements.published(sockets.filter) if port.address in own}
    for name, rows in settings.ports.items():
        protocol = name.partition("/")[2]
        rows[:] = [row for row in rows if (protocol, row["HostIp"], number.whole(row["HostPort"])) in led]


def _take(networks: Networks, network: Network, id: str, wanted: dict[str, Any]) -> bridge.Address:
    taken: dict[str, str] = {}
    try:
        for addresses in networks.addresses(network):
            key = "ip6" if ":" in str(addresses.subnet) else "ip"
            try:
                taken[key] = addresses.take(id, wanted.get(key, ""))
            except Conflict:
                if wanted.get(key):
                    raise
                raise _no_address(network, key) from None
    except BaseException:
        _give_back(networks, network, id, taken.values())
        raise
    return bridge.Address(taken["ip"], taken.get("ip6", ""), wanted.get("mac", ""))


def _no_address(network: Network, key: str) -> Conflict:
    version = 6 if key == "ip6" else 4
    return Conflict(
        f"no available IPv{version} addresses on this network's address pools: {network.name} ({network.id})",
        "stop some of its containers, or create a network with a larger --subnet",
    )


def _withdraw_names(networks: Networks, network: Network, id: str) -> None:
    if network.name != DEFAULT:
        from pyctr_lite.networks import names

        names.withdraw(networks.names_directory(network.id), id)


def _give_back(networks: Networks, network: Network, id: str, given: Iterable[str]) -> None:
    addresses = networks.addresses(network)[0]
    for address in given:
        if address:
            addresses.release(address, id)


def _endpoint(network: Network, address: bridge.Address, link: str, inside: str) -> dict[str, Any]:
    """Return Docker's EndpointSettings, and the names of both ends of the cable."""
    rows = {":" in subnet: (gateway, Subnet(subnet).prefix) for subnet, gateway, _ in network.subnets}
    gateway6, prefix6 = rows.get(True, ("", 0))
    return {
        "NetworkID": network.id,
        "EndpointID": os.urandom(32).hex(),
        "Gateway": "" if network.internal else rows[False][0],
        "IPAddress": address.ip,
        "IPPrefixLen": rows[False][1],
        "IPv6Gateway": "" if network.internal else gateway6,
        "GlobalIPv6Address": address.ip6,
        "GlobalIPv6PrefixLen": prefix6,
        "MacAddress": address.mac,
        "Link": link,
        "Interface": inside,
    }
