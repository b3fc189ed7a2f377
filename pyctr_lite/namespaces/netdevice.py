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
from pyctr_lite.linux import explain, scoped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_NETLINK_ROUTE = 0
_NLM_F_REQUEST, _NLM_F_ACK, _NLM_F_DUMP, _NLM_F_CREATE, _NLM_F_EXCL = 0x1, 0x4, 0x300, 0x400, 0x200
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_RTM_NEWLINK, _RTM_NEWADDR, _RTM_GETADDR = 16, 20, 22
_IFLA_IFNAME, _IFLA_NET_NS_FD = 3, 28
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST, _IFA_FLAGS, _IFA_RT_PRIORITY = 1, 2, 4, 8, 9
_IFA_F_PERMANENT, _RT_SCOPE_UNIVERSE = 0x80, 0
_KEPT_FLAGS = 0x2 | 0x80 | 0x100 | 0x200 | 0x400
"""IFA_F_NODAD, PERMANENT, MANAGETEMPADDR, NOPREFIXROUTE and MCAUTOJOIN. The others are found by the kernel."""
_IFF_UP = 0x1

_HEADER, _LINK, _ADDRESS = struct.Struct("=IHHII"), struct.Struct("=BxHiII"), struct.Struct("=BBBBI")
"""nlmsghdr, ifinfomsg and ifaddrmsg (linux/netlink.h, linux/rtnetlink.h, linux/if_addr.h)."""


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
            text = f"move network device {name} to the container{f' as {new_name}' if new_name != name else ''}"
            explain.step(text, here.move, index, namespace, new_name)
        finally:
            here.sock.close()
        after = _look_into(namespace, own, there)[1]
    [index] = {index for index, found in after if found == new_name} or {index for index, _ in after - before}
    try:
        for address in kept:
            there.add(index, address)
        there.set_up(index, up=True)
    finally:
        there.sock.close()


def _look_into(namespace: int, own: int, link: Link | None = None) -> tuple[Link, set[tuple[int, str]]]:
    """Return a socket in a namespace, and the devices there: their indexes and names."""
    linux.setns(namespace, linux.CLONE_NEWNET)
    try:
        return link or Link(), set(_socket.if_nameindex())
    finally:
        linux.setns(own, linux.CLONE_NEWNET)


class Link:
    """A netlink socket: it works on the network namespace that the caller is in when it is opened."""

    def __init__(self) -> None:
        self.sock = _socket.socket(_socket.AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, _NETLINK_ROUTE)

    def addresses(self, index: int) -> list[Address]:
        """List a device's permanent addresses of global scope."""
        found = []
        for kind, body in self.request(_RTM_GETADDR, _NLM_F_DUMP, _ADDRESS.pack(0, 0, 0, 0, 0)):
            family, prefix, flags, scope, device = _ADDRESS.unpack_from(body)
            if kind != _RTM_NEWADDR or device != index or scope != _RT_SCOPE_UNIVERSE:
                continue
            attributes = dict(_attributes(body[_ADDRESS.size :]))
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
        self.request(_RTM_NEWLINK, 0, _LINK.pack(0, 0, index, _IFF_UP if up else 0, _IFF_UP))

    def move(self, index: int, namespace: int, name: str) -> None:
        """Move and rename in one request: the name may be taken on this side or on that."""
        attributes = attribute(_IFLA_IFNAME, name.encode() + b"\0")
        attributes += attribute(_IFLA_NET_NS_FD, struct.pack("=I", namespace))
        self.request(_RTM_NEWLINK, 0, _LINK.pack(0, 0, index, 0, 0) + attributes)

    def add(self, index: int, address: Address) -> None:
        """Add an address to a device. Fails with EEXIST if it is there."""
        fields = _ADDRESS.pack(address.family, address.prefix, 0, _RT_SCOPE_UNIVERSE, index)
        attributes = attribute(_IFA_LOCAL, address.local) + attribute(_IFA_ADDRESS, address.peer)
        attributes += b"".join(attribute(number, value) for number, value in address.more.items())
        self.request(_RTM_NEWADDR, _NLM_F_CREATE | _NLM_F_EXCL, fields + attributes)

    def request(self, kind: int, flags: int, body: bytes) -> list[tuple[int, bytes]]:
        """Send a request; return the messages of its answer. Raises OSError with the kernel's error."""
        flags |= _NLM_F_REQUEST | (0 if flags & _NLM_F_DUMP == _NLM_F_DUMP else _NLM_F_ACK)
        self.sock.send(_HEADER.pack(_HEADER.size + len(body), kind, flags, 1, 0) + body)
        answer: list[tuple[int, bytes]] = []
        while True:
            data = self.sock.recv(65536)
            while data:
                length, got, _, _, _ = _HEADER.unpack_from(data)
                content, data = data[_HEADER.size : length], data[(length + 3) & ~3 :]
                if got == _NLMSG_ERROR:
                    number = -struct.unpack_from("=i", content)[0]
                    if number:
                        raise OSError(number, os.strerror(number))
                    return answer
                if got == _NLMSG_DONE:
                    return answer
                answer.append((got, content))


def attribute(kind: int, value: bytes) -> bytes:
    """Return an attribute (rtattr) of a request."""
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        yield kind & 0x3FFF, data[4:length]
        data = data[(length + 3) & ~3 :]
