"""A cable between two network namespaces (exercise 6.3)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from labs.kit import Todo
from pyctr_lite.linux import netlink

if TYPE_CHECKING:
    from pyctr_lite.linux.netlink import Socket

NEWLINK = 16
"""The kind of a request that makes a link (RTM_NEWLINK)."""
IFINFO = struct.Struct("=BxHiII")
"""struct ifinfomsg, which comes first in it: family, type, index, flags, and which of the flags are to be set."""
UP = 0x1
"""The flag of a link that is up (IFF_UP)."""
ADDRESS, IFNAME, MTU, MASTER, LINKINFO, NET_NS_PID = 1, 3, 4, 10, 18, 19
"""Attributes of a link: MAC address, name, MTU, index of its bridge, kind of link, and a pid's namespace."""
INFO_KIND, INFO_DATA = 1, 2
"""Attributes in LINKINFO: the kind ("veth"), and what this kind needs."""
VETH_PEER = 1
"""The attribute in INFO_DATA that describes the other end: struct ifinfomsg, and attributes of a link."""


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
    # 1. The engine asks for what `ip link add NAME master BRIDGE up type veth peer PEER netns PID` does. Write
    #    down which of the attributes above belong to which of the two ends.
    # 2. `netlink.text`, `netlink.number`, `netlink.attribute` and `netlink.nest` make attributes. Which of the
    #    attributes contain others? What do the bytes of a MAC address look like, and if there is none?
    # 3. The kernel moves a link if its namespace is given in a second request, and a name may be taken in the
    #    first namespace. Where does the namespace belong, so that the other end is born there?
    # 4. A name that is taken has to be an error: netlink.CREATE alone would change the link that has it. Which
    #    flag says "and it must be new"?
    # 5. `sock.request("what is asked, as a line of ip(8)", NEWLINK, flags, body)` sends it, and raises the
    #    kernel's error. Who has to see that?
    raise Todo("6.3")
