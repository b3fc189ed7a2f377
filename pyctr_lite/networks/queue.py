"""The queue of a link: packets leave it at no more than a rate (tc-tbf(8), by rtnetlink).

A queue limits only what a link sends. The host's end of a veth pair sends what the container receives, the other
end what it sends, so there is one queue at each. Source: linux/pkt_sched.h, net/sched/sch_tbf.c.
"""

from __future__ import annotations

import errno
import struct

from pyctr_lite.linux import netlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.linux.netlink import Socket

_NEWQDISC, _DELQDISC, _GETQDISC = 36, 37, 38
_REPLACE, _ECHO = 0x100, 0x8
_ROOT, _HANDLE = 0xFFFFFFFF, 0x10000
_TCMSG = struct.Struct("=4xi3I")
_QOPT = struct.Struct("=BBHhHIBBHhHI3I")
"""struct tc_tbf_qopt: two struct tc_ratespec (the second is a peak rate: none), limit, buffer and mtu."""
_ETHERNET = 1
_KIND, _OPTIONS = 1, 2
_PARAMETERS, _RATE64, _BURST = 1, 4, 6
_MAX32 = (1 << 32) - 1

_ETHERNET_HEADER = 14


class Queue:
    """A queue as the kernel describes it: its rate in bytes per second, its limit in bytes."""

    __slots__ = ("limit", "rate")

    def __init__(self, rate: int, limit: int) -> None:
        self.rate, self.limit = rate, limit


def limit(sock: Socket, index: int, rate: int, burst: int = 0, mtu: int = 1500) -> None:
    """Let a link send at most `rate` bytes per second, headers of Ethernet included. Replaces another limit.

    `burst` bytes may leave at once after a pause. By default those of 4 ms: up to 128 Mbit/s, packets of 64 KiB
    that TCP left for the link to cut (GSO) are larger; the queue cuts them, and they leave evenly. At least 5
    packets, because a packet larger than the burst that cannot be cut is dropped. Up to 100 ms of data wait in
    the queue, or 20 packets: twice what TCP sends before the first answer. More are dropped, and TCP slows down.
    """
    packet = mtu + _ETHERNET_HEADER
    burst = min(max(burst or rate // 250, 5 * packet), _MAX32)
    length = min(burst + max(rate // 10, 20 * packet), _MAX32)
    options = _QOPT.pack(0, _ETHERNET, 0, 0, 0, min(rate, _MAX32), *bytes(6), length, 0, 0)
    more = netlink.attribute(_RATE64, struct.pack("=Q", rate)) if rate > _MAX32 else b""
    nested = netlink.nest(_OPTIONS, netlink.attribute(_PARAMETERS, options), more, netlink.number(_BURST, burst))
    body = _TCMSG.pack(index, _HANDLE, _ROOT, 0) + netlink.text(_KIND, "tbf") + nested
    text = f"tc qdisc replace dev {index} root tbf rate {rate}bps burst {burst} limit {length}"
    sock.request(text, _NEWQDISC, netlink.CREATE | _REPLACE, body)


def remove(sock: Socket, index: int) -> None:
    """Let a link send as fast as it can again. Idempotent."""
    try:
        text = f"tc qdisc del dev {index} root"
        sock.request(text, _DELQDISC, 0, _TCMSG.pack(index, 0, _ROOT, 0))
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.EINVAL, errno.ENODEV):
            raise


def get(sock: Socket, index: int) -> Queue | None:
    """Return the queue of a link, or None if it has no limit. Raises OSError ENODEV if there is no such link."""
    body = _TCMSG.pack(index, 0, _ROOT, 0)
    for kind, answer in sock.request(f"tc qdisc show dev {index}", _GETQDISC, _ECHO, body):
        given = netlink.attributes(answer[_TCMSG.size :])
        if kind == _NEWQDISC and given.get(_KIND) == b"tbf\0":
            options = netlink.attributes(given[_OPTIONS])
            values = _QOPT.unpack_from(options[_PARAMETERS])
            rate = struct.unpack("=Q", options[_RATE64])[0] if _RATE64 in options else values[5]
            return Queue(rate, values[12])
    return None
