"""Datagrams by the proxy: one socket to the container for each client, so that its answers find the way back.

The source of an answer is the address that the client has sent to, because this machine may have several: the
control messages IP_PKTINFO and IPV6_PKTINFO carry it (ip(7), ipv6(7)).
"""

from __future__ import annotations

import _socket
import struct
import time

from pyctr_lite.networks import watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.networks.watch import Watch

    Control = tuple[int, int, bytes]
    """A control message: level, type, data."""
    Key = tuple[_socket.socket, tuple[Any, ...], Control]
    """A client: the reserved socket, the client's address, and the control message for its answers."""

MAX_FLOWS = 256
"""Clients. For one more, that which is idle for the longest time is forgotten."""
LIFETIME = 90.0
"""Seconds without a datagram after which a client is forgotten: as Docker's proxy."""
_MAX_DATAGRAM = 65535
_MAX_CONTROL = 64
_BATCH = 64
"""Datagrams of one socket that are passed on before others have their turn."""
_IP_PKTINFO = 8
_CONTROLS = {
    _socket.AF_INET: (_socket.IPPROTO_IP, _IP_PKTINFO, _IP_PKTINFO),
    _socket.AF_INET6: (_socket.IPPROTO_IPV6, _socket.IPV6_RECVPKTINFO, _socket.IPV6_PKTINFO),
}
"""The level of the control messages, the option that asks for them, and their type."""


class _Flow:
    """The socket to the container for one client."""

    __slots__ = ("deadline", "sock")

    def __init__(self, sock: _socket.socket) -> None:
        self.sock, self.deadline = sock, 0.0


class Datagrams:
    """The clients of all reserved sockets, those idle for the longest time first."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._flows: dict[Key, _Flow] = {}

    def add(self, reserved: _socket.socket, to: tuple[str, int]) -> None:
        """Pass on what comes to a reserved socket to an address and port, and the answers back."""
        level, option, _ = _CONTROLS[reserved.family]
        reserved.setsockopt(level, option, 1)
        self._watch.add(reserved.fileno(), watch.IN, lambda _: self._read(reserved, to))

    def expire(self, now: float) -> int:
        """Forget idle clients. Return the number of the others."""
        for key, flow in list(self._flows.items()):
            if flow.deadline > now:
                break
            self._drop(key)
        return len(self._flows)

    def _read(self, reserved: _socket.socket, to: tuple[str, int]) -> None:
        for _ in range(_BATCH):
            try:
                data, controls, _, client = reserved.recvmsg(_MAX_DATAGRAM, _MAX_CONTROL)
            except OSError:  # mostly BlockingIOError: no more
                return
            key = (reserved, client, _source(controls))
            try:
                flow = self._flows.get(key) or self._open(key, to)
                self._touch(key, flow)
                flow.sock.send(data)
            except OSError:
                pass  # datagrams may be lost: no descriptor is left, or the container has refused the last one

    def _open(self, key: Key, to: tuple[str, int]) -> _Flow:
        """Open a socket to the container for a new client."""
        if len(self._flows) >= MAX_FLOWS:
            self._drop(next(iter(self._flows)))
        family = _socket.AF_INET6 if ":" in to[0] else _socket.AF_INET
        sock = _socket.socket(family, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK)
        flow = _Flow(sock)
        try:
            sock.connect(to)
            self._watch.add(sock.fileno(), watch.IN, lambda _: self._answer(key, flow))
        except OSError:
            sock.close()
            raise
        return flow

    def _answer(self, key: Key, flow: _Flow) -> None:
        reserved, client, control = key
        self._touch(key, flow)
        for _ in range(_BATCH):
            try:
                data = flow.sock.recv(_MAX_DATAGRAM)
            except OSError:  # mostly BlockingIOError: no more
                return
            try:
                reserved.sendmsg([data], [control], 0, client)
            except OSError:
                pass  # the client cannot be reached, or the device's queue is full

    def _touch(self, key: Key, flow: _Flow) -> None:
        """Make a client the one that was idle for the shortest time."""
        self._flows.pop(key, None)
        self._flows[key] = flow
        flow.deadline = time.monotonic() + LIFETIME

    def _drop(self, key: Key) -> None:
        flow = self._flows.pop(key)
        self._watch.remove(flow.sock.fileno())
        flow.sock.close()


def _source(controls: list[Control]) -> Control:
    """Return the control message that makes a datagram's destination the source of its answer."""
    level, kind, info = controls[0]
    if level == _socket.IPPROTO_IP:  # struct in_pktinfo: interface, local address, address of the header
        return level, kind, struct.pack("=i4s4s", 0, info[8:12], bytes(4))
    return level, kind, info[:16] + bytes(4)  # struct in6_pktinfo: address, interface
