"""The bridge of a network, and the cable from it to a container.

Everything here can be repeated: a bridge is brought up last, so one that is up has addresses and rules. The
links of a container vanish with its network namespace.
"""

from __future__ import annotations

import errno
import os

from pyctr_lite import linux
from pyctr_lite.linux import kernelfile, netlink
from pyctr_lite.networks import foreign, link, pool, rules
from pyctr_lite.networks.pool import Subnet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctr_lite.networks.store import Network


ALIAS = "pyctr_lite "
"""The beginning of the alias of our bridges; the directory of the network follows."""
_MAX_ALIAS = 255

_LINK_LOCAL = ("fe80::1", 64)
"""Docker's, too. The kernel gives a bridge one of its own, 1 to 3 s after the first container is plugged in; until
then it could not ask for MAC addresses, and would forward no IPv6 to the containers."""


class Sockets:
    """The netlink sockets of one network namespace."""

    def __init__(self) -> None:
        self.route, self.filter = netlink.Socket(), netlink.Socket(netlink.NETFILTER)

    def __enter__(self) -> Sockets:
        return self

    def __exit__(self, *exc: object) -> None:
        self.route.sock.close()
        self.filter.sock.close()


class Address:
    """A container's place in a network: its addresses, "" without one, and its MAC address."""

    __slots__ = ("ip", "ip6", "mac")

    def __init__(self, ip: str, ip6: str = "", mac: str = "") -> None:
        self.ip, self.ip6, self.mac = ip, ip6, mac or pool.mac_of(ip)


def alias_of(directory: str) -> str:
    """Return the alias for the bridge of the network with this directory; "" without one, or if it is too long."""
    alias = ALIAS + directory
    return alias if directory and len(alias.encode()) <= _MAX_ALIAS else ""


def find(sockets: Sockets, network: Network) -> link.Link | None:
    """Return the link of a network's bridge, None if there is none."""
    try:
        return link.get(sockets.route, network.bridge)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
    return None


def is_there(sockets: Sockets, network: Network) -> bool:
    """Return whether a network has its bridge and address: then nobody else has a network in its subnet."""
    found = find(sockets, network)
    gateway = network.subnets[0][1]
    return found is not None and any(
        (found.index, gateway) == (index, address) for index, address, _ in link.addresses(sockets.route)
    )


def ensure(sockets: Sockets, network: Network, directory: str = "") -> int:
    """Make a network's bridge with its addresses and rules, unless both are there. Returns its index.

    `directory` is the network's own. The bridge names it, so that one without its network can be found.
    """
    found = find(sockets, network)
    if found is not None and found.up and rules.are_current(sockets.filter):
        return found.index
    index = found.index if found is not None else _add(sockets, network)
    if alias := alias_of(directory):
        link.set_alias(sockets.route, index, alias)
    addresses = [(gateway, Subnet(subnet).prefix) for subnet, gateway, _ in network.subnets]
    for address, prefix in addresses + [_LINK_LOCAL] * network.ipv6:
        try:
            link.add_address(sockets.route, index, address, prefix)
        except FileExistsError:
            pass
    rules.ensure(sockets.filter)
    _set_parameters(sockets, network)
    rules.add_bridge(
        *(sockets.filter, network.bridge),
        internal=network.internal,
        together=network.together,
        masquerade=network.masquerade,
    )
    foreign.ensure(sockets.filter, network.bridge)
    link.set_up(sockets.route, index)
    return index


def remove(sockets: Sockets, network: Network) -> None:
    """Remove a network's bridge and its rules. Idempotent."""
    from pyctr_lite.networks import removal

    found = find(sockets, network)
    if found is not None:
        link.set_up(sockets.route, found.index, up=False)  # one that is up is taken to have rules (`ensure`)
    removal.remove_bridge(sockets, network.bridge)


def plug_in(
    sockets: Sockets, network: Network, index: int, pid: int, name: str, inside: str, address: Address
) -> None:
    """Connect the network namespace of a process to a network: a veth pair, its addresses, the default route.

    `index` is that of the bridge, `name` the name of the end at the bridge, `inside` that of the container's. A
    route that the container has already, by another network, stays.
    """
    link.add_veth(sockets.route, name, index, pid, inside, address.mac, network.mtu)
    link.set_hairpin(sockets.route, name)
    with socket_inside(pid, lambda: _set_ipv6(inside, ipv6=bool(address.ip6))) as there:
        end = link.index(there, inside)
        rows = [(own, *row) for own in (address.ip, address.ip6) for row in network.subnets if own]
        given = [(own, subnet, gateway) for own, subnet, gateway, _ in rows if (":" in own) == (":" in subnet)]
        for own, subnet, _ in given:
            link.add_address(there, end, own, Subnet(subnet).prefix)
        link.set_up(there, end)
        for own, _, gateway in given:
            if not network.internal:
                try:
                    link.add_route(there, end, gateway)
                except FileExistsError:
                    pass
            rules.add_own(sockets.filter, own)


def unplug(sockets: Sockets, name: str, address: Address, *, ending: bool = False) -> None:
    """Undo `plug_in`. Idempotent: also if the namespace, and with it the link, is gone.

    With `ending` the namespace is about to end. Its link, which the kernel removes with it, is only blocked,
    unless a container with NET_ADMIN has moved its end to this namespace.
    """
    try:
        if ending and link.get(sockets.route, name).leads_out:
            link.block(sockets.route, name)
        else:
            link.remove(sockets.route, name)
    except OSError as error:
        # It is gone, or somebody has brought it down, or has removed its bridge.
        if error.errno not in (errno.ENODEV, errno.ENETDOWN, errno.EOPNOTSUPP):
            raise
    for own in (address.ip, address.ip6):
        if own:
            rules.remove_own(sockets.filter, own)


def hosts_subnets(sockets: Sockets) -> list[Subnet]:
    """List the subnets that this machine has addresses in or routes to: no network of ours may overlap them."""
    found = [f"{address}/{prefix}" for _, address, prefix in link.addresses(sockets.route)]
    found += [f"{address}/{prefix}" for address, prefix in link.routes(sockets.route)]
    return [Subnet(text) for text in found]


def _add(sockets: Sockets, network: Network) -> int:
    mac = pool.mac_of(next(gateway for _, gateway, _ in network.subnets if ":" not in gateway))
    try:
        return link.add_bridge(sockets.route, network.bridge, mac, network.mtu, up=False)
    except FileExistsError:
        return link.index(sockets.route, network.bridge)  # another command has just made it


def _set_parameters(sockets: Sockets, network: Network) -> None:
    """Let this machine forward packets, and let its own 127.0.0.1 reach published ports.

    Source: kernel Documentation/networking/ip-sysctl.rst.
    """
    from pyctr_lite.networks import forwarding

    forwarding.switch_on(sockets.route, sockets.filter, 4)
    kernelfile.write(f"/proc/sys/net/ipv4/conf/{network.bridge}/route_localnet", "1")
    ipv6 = any(":" in subnet for subnet, _, _ in network.subnets)
    if ipv6:
        forwarding.switch_on(sockets.route, sockets.filter, 6)
    _set_ipv6(network.bridge, ipv6=ipv6)


def _set_ipv6(name: str, *, ipv6: bool) -> None:
    """Switch IPv6 off on a link without an IPv6 address; never let a router advertisement change its routes.

    Any container on the bridge could send one (CVE-2020-13401).
    """
    directory = f"/proc/sys/net/ipv6/conf/{name}"
    try:
        kernelfile.write(f"{directory}/accept_ra", "0")
        if not ipv6:
            kernelfile.write(f"{directory}/disable_ipv6", "1")
    except FileNotFoundError:
        pass  # this kernel has no IPv6


def socket_inside(pid: int, before: Callable[[], None] = lambda: None) -> netlink.Socket:
    """Open a socket in the network namespace of a process, after a call of `before` in there.

    Only for a caller with one thread.
    """
    own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    with linux.closing(own), linux.closing(os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)) as there:
        linux.setns(there, linux.CLONE_NEWNET)
        try:
            before()
            return netlink.Socket()
        finally:
            linux.setns(own, linux.CLONE_NEWNET)
