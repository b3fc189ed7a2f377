"""Network links, their addresses and routes, by rtnetlink: each function is one line of ip(8).

All of them work in the network namespace of their socket. Source: rtnetlink(7), linux/if_link.h.
"""

from __future__ import annotations

import _socket
import errno
import os
import struct

from pyctr_lite.linux import netlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.linux.netlink import Socket

_NEWLINK, _DELLINK, _GETLINK, _NEWADDR, _DELADDR, _GETADDR = 16, 17, 18, 20, 21, 22
_NEWROUTE, _GETROUTE = 24, 26
_IFINFO, _IFADDR, _RTMSG = struct.Struct("=BxHiII"), struct.Struct("=BBBBi"), struct.Struct("=BBBBBBBBI")
"""struct ifinfomsg, ifaddrmsg and rtmsg (linux/rtnetlink.h, linux/if_addr.h)."""
_ADDRESS, _IFNAME, _MTU, _LINK, _MASTER, _LINKINFO, _NET_NS_PID, _IFALIAS = 1, 3, 4, 5, 10, 18, 19, 20
_NET_NS_FD, _LINK_NETNSID = 28, 37
_INFO_KIND, _INFO_DATA, _VETH_PEER, _INFO_SLAVE_KIND, _INFO_SLAVE_DATA = 1, 2, 1, 4, 5
_BRPORT_STATE, _BRPORT_MODE = 1, 4
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST, _IFA_FLAGS, _NODAD = 1, 2, 4, 8, 0x2
_POINT_TO_POINT = 31
"""Bits of a prefix from which on a subnet has no broadcast address (RFC 3021)."""
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_TABLE = 1, 4, 5, 15
_MAIN_TABLE, _BOOT, _UNIVERSE, _LINK_SCOPE, _UNICAST = 254, 3, 0, 253, 1
_UP = 0x1


class Link:
    """A link as the kernel describes it. `kind` is "" for hardware, `alias` a text that its maker chose.

    `leads_out` is whether the other end, of a veth pair, is in another network namespace.
    """

    __slots__ = ("alias", "index", "kind", "leads_out", "mac", "master", "mtu", "name", "up")

    def __init__(self, index: int, name: str, mac: str, mtu: int, master: int, *, up: bool) -> None:
        self.index, self.name, self.mac, self.mtu, self.master, self.up = index, name, mac, mtu, master, up
        self.kind = self.alias = ""
        self.leads_out = False


def add_bridge(sock: Socket, name: str, mac: str, mtu: int = 1500, *, up: bool = True) -> int:
    """Create a bridge and return its index. Fails with EEXIST if a link has its name.

    Its MAC address is given, because otherwise it changes with the bridge's ports.
    """
    info = netlink.nest(_LINKINFO, netlink.text(_INFO_KIND, "bridge"))
    body = _link(0, up=up) + _named(name, mac, mtu) + info
    sock.request(f"ip link add {name} address {mac} type bridge", _NEWLINK, netlink.CREATE | netlink.EXCL, body)
    return index(sock, name)


def add_veth(sock: Socket, name: str, bridge: int, pid: int, peer: str, mac: str, mtu: int = 1500) -> None:
    """Create a veth pair: one end, up, as a port of a bridge, the other end in the network namespace of a process.

    `name` is that of the first end, `bridge` the index of the bridge. The other end is named `peer` and has the
    MAC address `mac` ("" lets the kernel choose one); it is down, because its addresses come first. Both ends
    have the MTU.
    One request makes all of it or nothing: the other end is never in the caller's namespace. If its namespace
    ends, both vanish.
    Fails with EEXIST if a link has the name, on either side, EINVAL without the bridge, ESRCH without the process;
    the error says what was asked, as a line of ip(8) with all of these.
    """
    there = _link(0) + _named(peer, mac, mtu) + netlink.number(_NET_NS_PID, pid)
    data = netlink.nest(_INFO_DATA, netlink.nest(_VETH_PEER, there))
    info = netlink.nest(_LINKINFO, netlink.text(_INFO_KIND, "veth"), data)
    body = _link(0, up=True) + _named(name, "", mtu) + netlink.number(_MASTER, bridge) + info
    text = f"ip link add {name} master {bridge} up type veth peer {peer} address {mac} netns {pid}"
    sock.request(text, _NEWLINK, netlink.CREATE | netlink.EXCL, body)


def set_alias(sock: Socket, number: int, alias: str) -> None:
    """Give a link a text of at most 255 bytes, which `ip link` shows."""
    text = f'ip link set {number} alias "{alias}"'
    sock.request(text, _NEWLINK, 0, _link(number) + netlink.attribute(_IFALIAS, alias.encode()))


def set_up(sock: Socket, number: int, *, up: bool = True) -> None:
    """Bring a link up or down."""
    sock.request(f"ip link set {number} {'up' if up else 'down'}", _NEWLINK, 0, _link(number, up=up, change=True))


def move(sock: Socket, number: int, namespace: int, name: str) -> None:
    """Move a link, and rename it in one request: the name may be taken on this side or on that.

    `namespace` is a descriptor of the other network namespace. In `name`, `%d` becomes a free number.
    """
    body = _link(number) + netlink.text(_IFNAME, name) + netlink.number(_NET_NS_FD, namespace)
    sock.request(f"ip link set {number} netns {namespace} name {name}", _NEWLINK, 0, body)


def set_hairpin(sock: Socket, name: str) -> None:
    """Let a port of a bridge send back what came in by it: a container that calls its own published port."""
    _set_port(sock, name, _BRPORT_MODE, 1, "hairpin on")


def block(sock: Socket, name: str) -> None:
    """Let a port of a bridge pass nothing any more. Fails with ENODEV if the link is gone.

    It takes 0.04 ms. To remove the link takes 15 ms, because the kernel waits until no packet uses it.
    """
    _set_port(sock, name, _BRPORT_STATE, 0, "state 0")


def remove(sock: Socket, name: str) -> None:
    """Remove a link; of a veth pair both ends vanish. Idempotent."""
    try:
        body = _link(0) + netlink.text(_IFNAME, name)
        sock.request(f"ip link delete {name}", _DELLINK, 0, body)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise


def links(sock: Socket) -> list[Link]:
    """List the links of the namespace, in the order of their indexes."""
    found = []
    for kind, body in sock.request("ip link show", _GETLINK, netlink.DUMP, _link(0)):
        if kind == _NEWLINK:
            found.append(_parsed(body))
    return found


def index(sock: Socket, name: str) -> int:
    """Return the index of a link. Raises OSError ENODEV if there is none of this name."""
    return get(sock, name).index


def get(sock: Socket, name: str) -> Link:
    """Return a link by its name. Raises OSError ENODEV if there is none."""
    body = _link(0) + netlink.text(_IFNAME, name)
    for kind, answer in sock.request(f"ip link show {name}", _GETLINK, 0, body):
        if kind == _NEWLINK:
            return _parsed(answer)
    raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), name)


def add_address(sock: Socket, number: int, address: str, prefix: int) -> None:
    """Give a link an address, such as 172.17.0.2 with a prefix of 16 bits, or one of IPv6.

    An IPv4 address has its subnet's broadcast address, as in Docker: the kernel would leave it at 0.0.0.0. IPv6
    goes without duplicate address detection, which would take a second. Fails with EEXIST if the link has it.
    """
    family, packed = parse(address)
    body = _IFADDR.pack(family, prefix, 0, _UNIVERSE, number)
    body += netlink.attribute(_IFA_LOCAL, packed) + netlink.attribute(_IFA_ADDRESS, packed)
    text = f"ip address add {address}/{prefix}"
    if family == _socket.AF_INET6:
        body += netlink.number(_IFA_FLAGS, _NODAD)
        text += " nodad"
    elif prefix < _POINT_TO_POINT:
        everyone = int.from_bytes(packed) | (1 << 32 - prefix) - 1
        body += netlink.attribute(_IFA_BROADCAST, everyone.to_bytes(4))
        text += " broadcast +"
    text += f" dev {number}"
    sock.request(text, _NEWADDR, netlink.CREATE | netlink.EXCL, body)


def addresses(sock: Socket) -> list[tuple[int, str, int]]:
    """List the addresses of all links: index of the link, address, length of the prefix in bits."""
    found = []
    for kind, body in sock.request("ip address show", _GETADDR, netlink.DUMP, _IFADDR.pack(0, 0, 0, 0, 0)):
        if kind == _NEWADDR:
            family, prefix, _, _, number = _IFADDR.unpack_from(body)
            given = netlink.attributes(body[_IFADDR.size :])
            packed = given.get(_IFA_LOCAL) or given[_IFA_ADDRESS]
            found.append((number, _socket.inet_ntop(family, packed), prefix))
    return found


def add_route(sock: Socket, number: int, gateway: str, destination: str = "", prefix: int = 0) -> None:
    """Add a route through a gateway, by default for all destinations. Fails with EEXIST if there is one."""
    family, packed = parse(gateway)
    body = _RTMSG.pack(family, prefix, 0, 0, _MAIN_TABLE, _BOOT, _UNIVERSE, _UNICAST, 0)
    if destination:
        body += netlink.attribute(_RTA_DST, parse(destination)[1])
    body += netlink.attribute(_RTA_GATEWAY, packed) + netlink.number(_RTA_OIF, number)
    text = f"ip route add {f'{destination}/{prefix}' if destination else 'default'} via {gateway} dev {number}"
    sock.request(text, _NEWROUTE, netlink.CREATE | netlink.EXCL, body)


def routes(sock: Socket) -> list[tuple[str, int]]:
    """List the destinations of the routes in the main table: address and length of the prefix in bits."""
    return [(address, prefix) for _, address, prefix in routes_of_links(sock) if address]


def routes_of_links(sock: Socket) -> list[tuple[int, str, int]]:
    """List the routes of the main table: index of the link (0 for several), destination ("" for all), prefix."""
    found = []
    for family in (_socket.AF_INET, _socket.AF_INET6):
        body = _RTMSG.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
        for kind, answer in sock.request("ip route show", _GETROUTE, netlink.DUMP, body):
            if kind != _NEWROUTE:
                continue
            _, prefix, _, _, table, *_ = _RTMSG.unpack_from(answer)
            given = netlink.attributes(answer[_RTMSG.size :])
            if table == _MAIN_TABLE:
                (number,) = struct.unpack("=I", given.get(_RTA_OIF, bytes(4)))
                address = _socket.inet_ntop(family, given[_RTA_DST]) if _RTA_DST in given else ""
                found.append((number, address, prefix))
    return found


def default_links(sock: Socket, family: int) -> set[int]:
    """Return the indexes of the links that default routes of a family (AF_INET6) leave by."""
    found = set()
    body = _RTMSG.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
    for kind, answer in sock.request("ip route show default", _GETROUTE, netlink.DUMP, body):
        _, prefix, _, _, table, _, _, type, _ = _RTMSG.unpack_from(answer)
        given = netlink.attributes(answer[_RTMSG.size :])
        if (kind, prefix, table, type) == (_NEWROUTE, 0, _MAIN_TABLE, _UNICAST) and _RTA_OIF in given:
            found.add(struct.unpack("=I", given[_RTA_OIF])[0])
    return found


def parse(address: str) -> tuple[int, bytes]:
    """Return the family and the bytes of an address. Raises ValueError if it is not one."""
    family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
    try:
        return family, _socket.inet_pton(family, address)
    except OSError:
        raise ValueError(f"{address!r} is not an IP address") from None


def _link(number: int, *, up: bool = False, change: bool = False) -> bytes:
    """Return the fixed part of a link's message. `change` without `up` brings it down."""
    return _IFINFO.pack(0, 0, number, _UP if up else 0, _UP if up or change else 0)


def _set_port(sock: Socket, name: str, attribute: int, value: int, words: str) -> None:
    data = netlink.nest(_INFO_SLAVE_DATA, netlink.attribute(attribute, bytes([value])))
    info = netlink.nest(_LINKINFO, netlink.text(_INFO_SLAVE_KIND, "bridge"), data)
    text = f"ip link set {name} type bridge_slave {words}"
    sock.request(text, _NEWLINK, 0, _link(0) + netlink.text(_IFNAME, name) + info)


def _named(name: str, mac: str, mtu: int) -> bytes:
    address = netlink.attribute(_ADDRESS, bytes.fromhex(mac.replace(":", ""))) if mac else b""
    return netlink.text(_IFNAME, name) + netlink.number(_MTU, mtu) + address


def _parsed(body: bytes) -> Link:
    _, _, number, flags, _ = _IFINFO.unpack_from(body)
    given = netlink.attributes(body[_IFINFO.size :])
    name = given[_IFNAME].rstrip(b"\0").decode(errors="surrogateescape")
    (mtu,) = struct.unpack("=I", given.get(_MTU, bytes(4)))
    (master,) = struct.unpack("=I", given.get(_MASTER, bytes(4)))
    link = Link(number, name, given.get(_ADDRESS, b"").hex(":"), mtu, master, up=bool(flags & _UP))
    info = netlink.attributes(given.get(_LINKINFO, b""))
    link.kind = info.get(_INFO_KIND, b"").rstrip(b"\0").decode()
    link.leads_out = _LINK_NETNSID in given
    link.alias = given.get(_IFALIAS, b"").rstrip(b"\0").decode(errors="surrogateescape")
    return link
