"""The work of the proxy's process: bytes from one connection to another, by splice(2) and so without a copy.

Each direction of a connection ends alone: the end of one peer's data is passed on with shutdown(2), and the other
peer may still send. A reset is passed on as one. All is bounded: connections, and the kernel's memory for each.
"""

from __future__ import annotations

import _socket
import errno
import os
import select
import struct
import time

from pyctr_lite.networks import datagrams, watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyctr_lite.networks.proxy import Target

MAX_CONNECTIONS = 256
"""For one more, that which is idle for the longest time is reset."""
MAX_DESCRIPTORS = 6 * MAX_CONNECTIONS + datagrams.MAX_FLOWS + 16
"""Descriptors beside the reserved sockets: a connection has at most two sockets and two pipes."""
IDLE = 10.0
"""Seconds without connections and clients after which the process ends; up to twice as many."""
_BUFFER = 128 << 10
"""Bytes of a socket's buffers, which the kernel doubles: at most 1 MB a connection."""
_PIPE = 64 << 10
_MAX_MOVES = 16
"""Pipes full of data that go in one direction before other connections have their turn."""
_MAX_ACCEPTED = 64
"""Connections that are accepted before others have their turn."""
_RETRY = 1.0
"""Seconds until connections are accepted again, if no descriptor or memory is left."""
_OPTIONS = (
    (_socket.SOL_SOCKET, _socket.SO_RCVBUF, _BUFFER),
    (_socket.SOL_SOCKET, _socket.SO_SNDBUF, _BUFFER),
    (_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1),
    (_socket.IPPROTO_TCP, _socket.TCP_SYNCNT, 3),  # a container that does not answer is given up after 15 s
    (_socket.SOL_SOCKET, _socket.SO_KEEPALIVE, 1),  # a peer that does not answer, after 2 minutes
    (_socket.IPPROTO_TCP, _socket.TCP_KEEPIDLE, 60),
    (_socket.IPPROTO_TCP, _socket.TCP_KEEPINTVL, 15),
    (_socket.IPPROTO_TCP, _socket.TCP_KEEPCNT, 4),
)
_RESET = struct.pack("=ii", 1, 0)
"""struct linger: close(2) discards unsent data, and sends a reset."""
_FLAGS = os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK


def serve(targets: Sequence[Target]) -> None:
    """Serve the sockets until nothing has happened for some seconds."""
    relay = _Relay(targets)
    poller = select.poll()
    poller.register(relay.watch.fileno(), select.POLLIN)
    while not relay.finished:
        poller.poll()
        relay.watch.handle()


class _Direction:
    """The way of data from one socket to another. It has a pipe while `held` bytes are in it."""

    __slots__ = ("ended", "held", "pipe", "source", "target")

    def __init__(self, source: _socket.socket, target: _socket.socket) -> None:
        self.source, self.target = source, target
        self.pipe, self.held, self.ended = (-1, -1), 0, False


class _Connection:
    """The connection of a client, and the one to the container at `to`, which may not be `connected` yet."""

    __slots__ = ("connected", "directions", "events", "to")

    def __init__(self, client: _socket.socket, container: _socket.socket, to: tuple[str, int]) -> None:
        self.directions = (_Direction(client, container), _Direction(container, client))
        self.to, self.connected = to, False
        self.events = {client: 0, container: 0}
        """Events that are waited for. A socket without any is not watched, as epoll always reports hang-ups."""


class _Relay:
    """The connections and the clients of all sockets, those idle for the longest time first."""

    def __init__(self, targets: Sequence[Target]) -> None:
        self.watch = watch.Watch(self._on_timer)
        self.finished = False
        self._happened = True
        self._connections: dict[_Connection, None] = {}
        self._pipes: list[tuple[int, int]] = []
        self._listeners: list[int] = []
        self._datagrams = datagrams.Datagrams(self.watch)
        for sock, protocol, address, port in targets:
            if protocol == "tcp":
                self._listeners.append(sock.fileno())
                self.watch.add(
                    *(sock.fileno(), watch.IN),
                    lambda _, sock=sock, to=(address, port): self._accept(sock, to),  # type: ignore[misc]
                )
            elif protocol == "udp":
                self._datagrams.add(sock, (address, port))
        self.watch.wake_at(time.monotonic() + IDLE)

    def _on_timer(self) -> float:
        """Accept again after a lack of descriptors; end if nothing has happened since the last time."""
        now = time.monotonic()
        for fd in self._listeners:
            self.watch.change(fd, watch.IN)
        clients = self._datagrams.expire(now)
        self.finished = not (self._happened or self._connections or clients)
        self._happened = False
        return now + IDLE

    def _accept(self, listener: _socket.socket, to: tuple[str, int]) -> None:
        self._happened = True
        for _ in range(_MAX_ACCEPTED):
            try:
                fd, _address = listener._accept()  # type: ignore[attr-defined]
            except (BlockingIOError, ConnectionError):
                return
            except OSError:  # no descriptor or memory is left
                for each in self._listeners:
                    self.watch.change(each, 0)
                self.watch.wake_at(time.monotonic() + _RETRY)
                return
            if len(self._connections) >= MAX_CONNECTIONS:
                self._drop(next(iter(self._connections)), reset=True)
            self._connect(_socket.socket(fileno=fd), to)

    def _connect(self, client: _socket.socket, to: tuple[str, int]) -> None:
        family = _socket.AF_INET6 if ":" in to[0] else _socket.AF_INET
        try:
            container = _socket.socket(family, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        except OSError:
            client.setsockopt(_socket.SOL_SOCKET, _socket.SO_LINGER, _RESET)
            client.close()
            return
        connection = _Connection(client, container, to)
        self._connections[connection] = None
        try:
            for sock in (client, container):
                sock.setblocking(False)
                for option in _OPTIONS:
                    sock.setsockopt(*option)
        except OSError:
            self._drop(connection, reset=True)
        else:
            self._move(connection)

    def _move(self, connection: _Connection) -> None:
        """Move what can be moved without waiting, and choose what to wait for next."""
        del self._connections[connection]
        self._connections[connection] = None  # now the one that was idle for the shortest time
        up, down = connection.directions
        try:
            if not connection.connected:
                error = up.target.connect_ex(connection.to)  # a second call returns the result of the first one
                if error in (errno.EINPROGRESS, errno.EALREADY):
                    self._wait(connection, up.target, watch.OUT)
                    return
                if error:
                    raise OSError(error, os.strerror(error))
                connection.connected = True
            for direction in connection.directions:
                self._splice(direction)
            if not (up.ended and down.ended):
                for forth, back in ((up, down), (down, up)):
                    reading = not forth.held and not forth.ended
                    events = (watch.IN if reading else 0) | (watch.OUT if back.held else 0)
                    self._wait(connection, forth.source, events)
        except OSError:
            self._drop(connection, reset=True)
            return
        if up.ended and down.ended:
            self._drop(connection)

    def _splice(self, direction: _Direction) -> None:
        source, target = direction.source.fileno(), direction.target.fileno()
        for _ in range(_MAX_MOVES):
            if not direction.held:
                if direction.ended:
                    return
                pipe = self._pipes.pop() if self._pipes else os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
                try:
                    direction.held = os.splice(source, pipe[1], _PIPE, flags=_FLAGS)
                except BlockingIOError:
                    return
                finally:
                    if direction.held:
                        direction.pipe = pipe
                    else:
                        self._pipes.append(pipe)
                if not direction.held:
                    direction.ended = True
                    direction.target.shutdown(_socket.SHUT_WR)
                    return
            try:
                direction.held -= os.splice(direction.pipe[0], target, direction.held, flags=_FLAGS)
            except BlockingIOError:
                return
            if not direction.held:
                self._pipes.append(direction.pipe)

    def _wait(self, connection: _Connection, sock: _socket.socket, events: int) -> None:
        before = connection.events[sock]
        if not before and events:
            self.watch.add(sock.fileno(), events, lambda _: self._move(connection))
        elif before and not events:
            self.watch.remove(sock.fileno())
        elif before != events:
            self.watch.change(sock.fileno(), events)
        connection.events[sock] = events

    def _drop(self, connection: _Connection, *, reset: bool = False) -> None:
        del self._connections[connection]
        for sock, events in connection.events.items():
            if events:
                self.watch.remove(sock.fileno())
            if reset:
                sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_LINGER, _RESET)
            sock.close()
        for direction in connection.directions:
            if direction.held:
                for fd in direction.pipe:
                    os.close(fd)
