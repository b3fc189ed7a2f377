"""A name that is too long is cut, and becomes another one."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from pyctr_lite.linux import netlink

if TYPE_CHECKING:
    from pyctr_lite.linux.netlink import Socket

NEWLINK = 16
IFINFO = struct.Struct("=BxHiII")
UP = 0x1
ADDRESS, IFNAME, MTU, MASTER, LINKINFO, NET_NS_PID = 1, 3, 4, 10, 18, 19
INFO_KIND, INFO_DATA = 1, 2
VETH_PEER = 1

HINT = "A name has 15 characters at most"


def add_veth(sock: Socket, name: str, bridge: int, pid: int, peer: str, mac: str, mtu: int = 1500) -> None:
    other = IFINFO.pack(0, 0, 0, 0, 0)
    other += netlink.text(IFNAME, peer[:15]) + netlink.number(MTU, mtu) + netlink.number(NET_NS_PID, pid)
    if mac:
        other += netlink.attribute(ADDRESS, bytes.fromhex(mac.replace(":", "")))
    data = netlink.nest(INFO_DATA, netlink.nest(VETH_PEER, other))
    body = IFINFO.pack(0, 0, 0, UP, UP)
    body += netlink.text(IFNAME, name) + netlink.number(MTU, mtu) + netlink.number(MASTER, bridge)
    body += netlink.nest(LINKINFO, netlink.text(INFO_KIND, "veth"), data)
    line = f"ip link add {name} master {bridge} up type veth peer {peer} address {mac} netns {pid}"
    sock.request(line, NEWLINK, netlink.CREATE | netlink.EXCL, body)
