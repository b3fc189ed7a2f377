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
from pyctr_lite.networks import link

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.linux.netlink import Socket

_RTM_NEWADDR, _RTM_GETADDR = 20, 22
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST, _IFA_FLAGS, _IFA_RT_PRIORITY = 1, 2, 4, 8, 9
_IFA_F_PERMANENT, _RT_SCOPE_UNIVERSE = 0x80, 0
_KEPT_FLAGS = 0x2 | 0x80 | 0x100 | 0x200 | 0x400
"""IFA_F_NODAD, PERMANENT, MANAGETEMPADDR, NOPREFIXROUTE and MCAUTOJOIN. The others are found by the kernel."""

_ADDRESS = struct.Struct("=BBBBI")
"""struct ifaddrmsg (linux/if_addr.h)."""


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
    with scoped.closing(os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)) as own, netlink.Socket() as here:
        try:
            index = link.index(here, name)
        except OSError:
            raise InvalidArgument(f"network device {name} does not exist in the runtime's namespace") from None
        kept = addresses(here, index)
        link.set_up(here, index, up=False)  # an active device cannot be renamed by every kernel
        with _socket_in(namespace, own) as there:
            before = {found.index for found in link.links(there)}
            link.move(here, index, namespace, new_name)
            after = {found.index: found.name for found in link.links(there)}
            [index] = [each for each in after if after[each] == new_name] or after.keys() - before
            for address in kept:
                add_address(there, index, address)
            link.set_up(there, index)


def _socket_in(namespace: int, own: int) -> Socket:
    linux.setns(namespace, linux.CLONE_NEWNET)
    try:
        return netlink.Socket()
    finally:
        linux.setns(own, linux.CLONE_NEWNET)


def addresses(sock: Socket, index: int) -> list[Address]:
    """List a device's permanent addresses of global scope."""
    found = []
    everything = _ADDRESS.pack(0, 0, 0, 0, 0)
    for kind, body in sock.request("ip address show", _RTM_GETADDR, netlink.DUMP, everything):
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


def add_address(sock: Socket, index: int, address: Address) -> None:
    """Add an address to a device. Fails with EEXIST if it is there."""
    fields = _ADDRESS.pack(address.family, address.prefix, 0, _RT_SCOPE_UNIVERSE, index)
    attributes = netlink.attribute(_IFA_LOCAL, address.local) + netlink.attribute(_IFA_ADDRESS, address.peer)
    attributes += b"".join(netlink.attribute(number, value) for number, value in address.more.items())
    shown = f"{_socket.inet_ntop(address.family, address.local)}/{address.prefix}"
    flags = netlink.CREATE | netlink.EXCL
    sock.request(f"ip address add {shown} dev {index}", _RTM_NEWADDR, flags, fields + attributes)
