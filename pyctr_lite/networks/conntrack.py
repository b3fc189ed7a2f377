"""Connection tracking: UDP flows that go on as before, although a port has been published or withdrawn.

Rules decide only about the first packet of a flow; the others follow the entry that the kernel has made for it. A
client that sends on from the same port keeps the entry alive, and would be led to the address of a container that
has ended, or past one that has just started. So these entries are deleted.

A list takes the kernel 10 ms, however few entries there are, because it looks through its whole hash table. Each
deletion names its entry: one that names none would delete all of the host's.
Source: linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

import _socket
import struct

from pyctr_lite.linux import netlink
from pyctr_lite.networks import link

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pyctr_lite.linux.netlink import Socket

    Tuple = tuple[bytes, bytes, int, int]
    """One direction of a flow: source, destination, protocol, port of the destination."""

_GET, _DELETE = 1 << 8 | 1, 1 << 8 | 2
_ORIGINAL, _REPLY, _STATUS, _ID, _FILTER = 1, 2, 3, 12, 25
"""Attributes of an entry: the tuple of each direction, state, number. And the filter of a list."""
_ADDRESSES, _PROTOCOL = 1, 2
"""Attributes of a tuple."""
_SOURCE, _DESTINATION = {_socket.AF_INET: 1, _socket.AF_INET6: 3}, {_socket.AF_INET: 2, _socket.AF_INET6: 4}
_NUMBER, _DESTINATION_PORT = 1, 3
_BY_SOURCE, _BY_NUMBER = 0x1, 0x8
"""Fields of a tuple that a list is filtered by (net/netfilter/nf_internals.h), since Linux 5.8."""
_TRANSLATED = 0x10 | 0x20
"""State: a rule has replaced the source or the destination (IPS_SRC_NAT, IPS_DST_NAT)."""
_MAX_DELETIONS = 256
"""Deletions in one message to the kernel."""


def forget_container(sock: Socket, address: str) -> int:
    """Delete the UDP flows that are led to a container's address; return their number.

    To be called when the rules that lead there are gone, before another container gets the address.
    """
    family, packed = link.parse(address)
    what, flags, fields = f"-p udp --reply-src {address}", 0, b""
    if family == _socket.AF_INET:  # of IPv6, the kernel's filter lets all others pass
        flags, fields = _BY_SOURCE, netlink.nest(_ADDRESSES, netlink.attribute(_SOURCE[family], packed))
    return _delete(sock, what, family, _REPLY, flags, fields, lambda _, reply, status: reply[0] == packed)


def forget_ports(sock: Socket, route: Socket, published: Iterable[tuple[str, int]]) -> int:
    """Delete the UDP flows that began before ports of this machine were published; return their number.

    `published` are an address, or all of this machine ("0.0.0.0", "::"), and a port each. To be called when the
    rules are there. Translated flows, to such a port of another machine or of a container, stay.
    """
    exact = [(*link.parse(host), port) for host, port in published]
    flows = {(packed, port) for _, packed, port in exact}
    everywhere = {(family, port) for family, packed, port in exact if not any(packed)}
    local = {link.parse(address)[1] for _, address, _ in link.addresses(route)} if everywhere else set()
    count = 0
    for family in sorted({family for family, _, _ in exact}):

        def is_stale(original: Tuple, reply: Tuple, status: int, family: int = family) -> bool:
            _, host, _, port = original
            ours = (host, port) in flows or ((family, port) in everywhere and host in local)
            return ours and not status & _TRANSLATED

        count += _delete(sock, "-p udp", family, _ORIGINAL, 0, b"", is_stale)
    return count


def _delete(
    sock: Socket,
    what: str,
    family: int,
    direction: int,
    flags: int,
    fields: bytes,
    wanted: Callable[[Tuple, Tuple, int], bool],
) -> int:
    """Delete the UDP flows that the kernel's filter lets pass and that are wanted; return their number.

    The filter compares `fields`, named by flags, of a direction's tuple.
    """
    head = struct.pack(">BBH", family, 0, 0)
    protocol = netlink.nest(_PROTOCOL, netlink.attribute(_NUMBER, bytes((_socket.IPPROTO_UDP,))))
    passes = netlink.nest(_FILTER, netlink.number(direction, flags | _BY_NUMBER))
    body = head + netlink.nest(direction, fields, protocol) + passes
    deletions = []
    for _, content in sock.request(f"conntrack -L {what}", _GET, netlink.DUMP, body):
        given = netlink.attributes(content[4:])
        original, reply = (_parse(given[key], family) for key in (_ORIGINAL, _REPLY))
        (status,) = struct.unpack(">I", given[_STATUS])
        if original[2] == _socket.IPPROTO_UDP and wanted(original, reply, status):
            entry = netlink.nest(_ORIGINAL, given[_ORIGINAL]) + netlink.attribute(_ID, given[_ID])
            deletions.append(head + entry)
    for start in range(0, len(deletions), _MAX_DELETIONS):
        *others, last = deletions[start : start + _MAX_DELETIONS]
        if others:  # an entry that has just expired is reported under the number 0, which nobody waits for
            sock.sock.send(b"".join(netlink.message(_DELETE, 0, 0, each) for each in others))
        try:
            sock.request(f"conntrack -D {what}: {len(others) + 1} entries", _DELETE, 0, last)
        except FileNotFoundError:
            pass
    return len(deletions)


def _parse(data: bytes, family: int) -> Tuple:
    parts = netlink.attributes(data)
    addresses, protocol = netlink.attributes(parts[_ADDRESSES]), netlink.attributes(parts[_PROTOCOL])
    port = protocol.get(_DESTINATION_PORT, bytes(2))
    return (
        *(addresses[_SOURCE[family]], addresses[_DESTINATION[family]]),
        *(protocol[_NUMBER][0], int.from_bytes(port, "big")),
    )
