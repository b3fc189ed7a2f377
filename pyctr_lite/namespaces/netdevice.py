"""Network devices: moving one into the network namespace of a container (`linux.netDevices`).

A device's addresses do not survive the move, so they are read before and added again after it. Source: OCI runtime
spec, config-linux.md, "Network Devices"; rtnetlink(7).
"""

from __future__ import annotations

import _socket
import os
import struct

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import netlink, scoped

_RTM_NEWLINK, _RTM_NEWADDR, _RTM_GETADDR = 16, 20, 22
_IFLA_IFNAME, _IFLA_NET_NS_FD = 3, 28
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST, _IFA_FLAGS, _IFA_RT_PRIORITY = 1, 2, 4, 8, 9
_IFA_F_PERMANENT, _RT_SCOPE_UNIVERSE = 0x80, 0
_KEPT_FLAGS = 0x2 | 0x80 | 0x100 | 0x200 | 0x400
"""IFA_F_NODAD, PERMANENT, MANAGETEMPADDR, NOPREFIXROUTE and MCAUTOJOIN. The others are found by the kernel."""
_IFF_UP = 0x1

_LINK, _ADDRESS = struct.Struct("=BxHiII"), struct.Struct("=BBBBI")
"""ifinfomsg and ifaddrmsg (linux/rtnetlink.h, linux/if_addr.h)."""


class Address:
    """An address of a device: its family, the length of its prefix in bits, and its bytes.

    `peer` is the address at the other end (its own, unless the link has two ends), `more` are other attributes by
    their numbers: broadcast address, flags, priority of its route.
    """

    __slots__ = ("family", "local", "more", "peer", "prefix")

    def __init__(
        self, family: int, prefix: int, local: bytes, peer: bytes = b"", more: dict[int, bytes] | None = None
    ) -> None:
        self.family, self.prefix, self.local = family, prefix, local
        self.peer, self.more = peer or local, more or {}


def check(devices: dict[str, dict[str, str]]) -> None:
    """Check a `netDevices` object. Raises InvalidArgument."""
    for name, device in devices.items():
        check_name(name)
        check_name(device.get("name") or name)


def move_all(devices: dict[str, dict[str, str]], namespace: str) -> None:
    """Move the devices of a `netDevices` object into the network namespace at a path (`move`)."""
    with scoped.closing(os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)) as fd:
        for name, device in devices.items():
            move(name, fd, device.get("name") or "")


def check_name(name: str) -> None:
    """Raise InvalidArgument unless the kernel accepts the name of a device (dev_valid_name in the kernel)."""
    if not 0 < len(name.encode()) < 16 or name in (".", "..") or any(c in "/:" or c.isspace() for c in name):
        raise InvalidArgument(f"{name!r} is not a name of a network device", "at most 15 bytes, no / : or space")


def move(name: str, namespace: int, new_name: str = "") -> None:
    """Move a device of the caller's network namespace into another, and bring it up there.

    `namespace` is a descriptor of the other namespace. The device keeps its MAC address, MTU, and its permanent
    addresses of global scope. In `new_name`, the kernel replaces `%d` by a free number. Raises InvalidArgument if
    it does not exist. Only for a process with one thread: it enters the namespace for a moment.
    """
    new_name = new_name or name
    with scoped.closing(os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)) as own:
        try:
            index = _socket.if_nametoindex(name)
        except OSError:
            raise InvalidArgument(f"network device {name} does not exist in the runtime's namespace") from None
        here = Link()
        try:
            kept = here.addresses(index)
            here.set_up(index, up=False)  # an active device cannot be renamed by every kernel
            there, before = _look_into(namespace, own)
            here.move(index, namespace, new_name)
        finally:
            here.close()
        after = _look_into(namespace, own, there)[1]
    [index] = {index for index, found in after if found == new_name} or {index for index, _ in after - before}
    try:
        for address in kept:
            there.add(index, address)
        there.set_up(index, up=True)
    finally:
        there.close()


def _look_into(namespace: int, own: int, link: Link | None = None) -> tuple[Link, set[tuple[int, str]]]:
    """Return a socket in a namespace, and the devices there: their indexes and names."""
    linux.setns(namespace, linux.CLONE_NEWNET)
    try:
        return link or Link(), set(_socket.if_nameindex())
    finally:
        linux.setns(own, linux.CLONE_NEWNET)


class Link:
    """The devices of the network namespace that the caller is in when it is made, over a netlink socket."""

    def __init__(self) -> None:
        self.socket = netlink.Socket()

    def close(self) -> None:
        """Close the socket."""
        self.socket.sock.close()

    def addresses(self, index: int) -> list[Address]:
        """List a device's permanent addresses of global scope."""
        found = []
        everything = _ADDRESS.pack(0, 0, 0, 0, 0)
        for kind, body in self.socket.request("ip address show", _RTM_GETADDR, netlink.DUMP, everything):
            family, prefix, flags, scope, device = _ADDRESS.unpack_from(body)
            if kind != _RTM_NEWADDR or device != index or scope != _RT_SCOPE_UNIVERSE:
                continue
            attributes = netlink.attributes(body[_ADDRESS.size :])
            flags = int.from_bytes(attributes.get(_IFA_FLAGS, bytes([flags])), "little")
            local = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS)
            if local and flags & _IFA_F_PERMANENT:
                kept = (_IFA_BROADCAST, _IFA_RT_PRIORITY)
                more = {number: attributes[number] for number in kept if number in attributes}
                more[_IFA_FLAGS] = struct.pack("=I", flags & _KEPT_FLAGS)
                found.append(Address(family, prefix, local, attributes.get(_IFA_ADDRESS, local), more))
        return found

    def set_up(self, index: int, *, up: bool) -> None:
        """Bring a device up or down."""
        text = f"ip link set {index} {'up' if up else 'down'}"
        self.socket.request(text, _RTM_NEWLINK, 0, _LINK.pack(0, 0, index, _IFF_UP if up else 0, _IFF_UP))

    def move(self, index: int, namespace: int, name: str) -> None:
        """Move and rename in one request: the name may be taken on this side or on that."""
        attributes = netlink.text(_IFLA_IFNAME, name) + netlink.number(_IFLA_NET_NS_FD, namespace)
        text = f"ip link set {index} netns {namespace} name {name}"
        self.socket.request(text, _RTM_NEWLINK, 0, _LINK.pack(0, 0, index, 0, 0) + attributes)

    def add(self, index: int, address: Address) -> None:
        """Add an address to a device. Fails with EEXIST if it is there."""
        fields = _ADDRESS.pack(address.family, address.prefix, 0, _RT_SCOPE_UNIVERSE, index)
        attributes = netlink.attribute(_IFA_LOCAL, address.local) + netlink.attribute(_IFA_ADDRESS, address.peer)
        attributes += b"".join(netlink.attribute(number, value) for number, value in address.more.items())
        shown = f"{_socket.inet_ntop(address.family, address.local)}/{address.prefix}"
        flags = netlink.CREATE | netlink.EXCL
        self.socket.request(f"ip address add {shown} dev {index}", _RTM_NEWADDR, flags, fields + attributes)
