"""The other end is made here under a name that is surely free, then moved and renamed."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

from pyctr_lite.linux import netlink
from pyctr_lite.networks import link

if TYPE_CHECKING:
    from pyctr_lite.linux.netlink import Socket

NEWLINK = 16
IFINFO = struct.Struct("=BxHiII")
UP = 0x1
ADDRESS, IFNAME, MTU, MASTER, LINKINFO, NET_NS_PID = 1, 3, 4, 10, 18, 19
INFO_KIND, INFO_DATA = 1, 2
VETH_PEER = 1

HINT = "come and go"


def add_veth(sock: Socket, name: str, bridge: int, pid: int, peer: str, mac: str, mtu: int = 1500) -> None:
    here = f"x{os.urandom(5).hex()}"
    other = IFINFO.pack(0, 0, 0, 0, 0)
    other += netlink.text(IFNAME, here) + netlink.number(MTU, mtu)
    if mac:
        other += netlink.attribute(ADDRESS, bytes.fromhex(mac.replace(":", "")))
    data = netlink.nest(INFO_DATA, netlink.nest(VETH_PEER, other))
    body = IFINFO.pack(0, 0, 0, UP, UP)
    body += netlink.text(IFNAME, name) + netlink.number(MTU, mtu) + netlink.number(MASTER, bridge)
    body += netlink.nest(LINKINFO, netlink.text(INFO_KIND, "veth"), data)
    sock.request(f"ip link add {name} type veth peer {here}", NEWLINK, netlink.CREATE | netlink.EXCL, body)
    index = link.index(sock, here)
    moved = IFINFO.pack(0, 0, index, 0, 0) + netlink.text(IFNAME, peer) + netlink.number(NET_NS_PID, pid)
    try:
        sock.request(f"ip link set {here} netns {pid} name {peer}", NEWLINK, 0, moved)
    except OSError:
        link.remove(sock, name)
        raise
