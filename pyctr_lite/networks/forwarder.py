"""Queries that the host's own resolvers answer: sent on, with timeouts, to one server after the other.

Each query has a random id and a socket of its own, connected to the server, whose port the kernel chooses at
random: a forged answer has to guess both (RFC 5452).
"""

from __future__ import annotations

import _socket
import errno
import os
import struct
import time

from pyctr_lite.networks import dns, watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyctr_lite.networks.dns import Query
    from pyctr_lite.networks.resolv_conf import Server
    from pyctr_lite.networks.watch import Watch

MAX_ACTIVE, MAX_WAITING = 64, 1024
"""Queries that are sent on at the same time, and those that wait for their turn. Further ones are refused."""
MAX_SOCKETS = 160
"""Sockets for them: a monitor needs descriptors for its other work, too."""
MAX_SERVERS = 3
"""Servers that are asked: as Docker, and as resolv.conf(5)."""
INTERVAL = 2.0
"""Seconds until the next server is asked, too; the first one's answer may still come."""
LIFETIME = 8.0
"""Seconds until the client gets SERVFAIL. It is then likely to have asked again, after 5 seconds."""
_MAX_DATAGRAMS = 16
_MAX_READ = 1 << 16


class _Attempt:
    """A query on its way to one server."""

    __slots__ = ("id", "received", "server", "sock", "tcp", "unsent")

    def __init__(self, server: Server, sock: _socket.socket, id: int, *, tcp: bool) -> None:
        self.server, self.sock, self.id, self.tcp = server, sock, id, tcp
        self.unsent, self.received = b"", b""


class _Exchange:
    """A client's query, and the attempts to answer it.

    `plan` lists the servers still to be asked, the last one first. `best` is a truncated answer, which the client
    gets if no server has sent all of it.
    """

    __slots__ = ("attempts", "best", "deadline", "expires", "limit", "plan", "query", "reply")

    def __init__(
        self, query: Query, limit: int, plan: list[tuple[Server, bool]], reply: Callable[[bytes], None], now: float
    ) -> None:
        self.query, self.limit, self.plan, self.reply = query, limit, plan, reply
        self.attempts: list[_Attempt] = []
        self.best = b""
        self.deadline = self.expires = now + LIFETIME


class Forwarder:
    """The queries on their way. `servers` may be replaced at any time."""

    def __init__(self, watch: Watch, open_inside: Callable[[int, int], _socket.socket]) -> None:
        self._watch, self._open_inside = watch, open_inside
        self.servers: Sequence[Server] = ()
        self._active: dict[_Exchange, None] = {}
        self._waiting: dict[_Exchange, None] = {}
        self._sockets = 0

    def ask(self, query: Query, limit: int, reply: Callable[[bytes], None], *, tcp: bool) -> None:
        """Send a query on; `reply` gets the answer of at most `limit` bytes, at once or later.

        The answer is SERVFAIL if there is no server or none answers, REFUSED if too many queries wait. `tcp` is
        how the client asks, and how the servers are asked first.
        """
        if not self.servers:
            reply(dns.answer(query, error=dns.SERVFAIL))
        elif len(self._waiting) >= MAX_WAITING:
            reply(dns.answer(query, error=dns.REFUSED))
        else:
            servers = list(self.servers[:MAX_SERVERS])
            plan = [(server, tcp) for server in servers] + [(server, False) for server in servers]
            exchange = _Exchange(query, limit, plan[::-1], reply, time.monotonic())
            self._waiting[exchange] = None
            self._start_waiting()
            if exchange in self._waiting:
                self._watch.wake_at(exchange.expires)

    def expire(self, now: float) -> float:
        """Ask the next servers, and give up what took too long. Return the next deadline."""
        for exchange in [*self._active, *self._waiting]:
            if exchange.expires <= now:
                self._give_up(exchange)
            elif exchange.deadline <= now:
                self._try_next(exchange)
        self._start_waiting()
        return min((exchange.deadline for exchange in (*self._active, *self._waiting)), default=watch.NEVER)

    def close(self) -> None:
        """Forget all queries, without an answer."""
        for exchange in [*self._active, *self._waiting]:
            self._finish(exchange)

    def _start_waiting(self) -> None:
        while self._waiting and len(self._active) < MAX_ACTIVE:
            exchange = next(iter(self._waiting))
            del self._waiting[exchange]
            self._active[exchange] = None
            self._try_next(exchange)

    def _try_next(self, exchange: _Exchange) -> None:
        """Ask the next server that can be asked. If there is none, wait for those that were, or give up."""
        exchange.deadline = exchange.expires
        while exchange.plan:
            server, tcp = exchange.plan.pop()
            if self._send(exchange, server, tcp=tcp):
                exchange.deadline = min(exchange.expires, time.monotonic() + INTERVAL)
                self._watch.wake_at(exchange.deadline)
                return
        if exchange.best or not exchange.attempts:
            self._give_up(exchange)

    def _send(self, exchange: _Exchange, server: Server, *, tcp: bool) -> bool:
        """Send the query to a server, a second time if it was. Return whether that worked."""
        for attempt in exchange.attempts:
            if attempt.server is server and attempt.tcp == tcp:
                return tcp or self._send_again(exchange, attempt)
        if self._sockets >= MAX_SOCKETS:
            return False
        kind = _socket.SOCK_STREAM if tcp else _socket.SOCK_DGRAM
        try:
            sock = self._open_inside(server.family, kind) if server.inside else open_socket(server.family, kind)
        except OSError:
            return False
        attempt = _Attempt(server, sock, int.from_bytes(os.urandom(2), "big"), tcp=tcp)
        message = dns.forwarded(exchange.query, attempt.id)
        try:
            if (error := sock.connect_ex(server.sockaddr)) not in (0, errno.EINPROGRESS):
                raise OSError(error, os.strerror(error))
            if tcp:
                attempt.unsent = struct.pack(">H", len(message)) + message
            else:
                sock.send(message)
            events = watch.OUT if tcp else watch.IN
            self._watch.add(sock.fileno(), events, lambda _: self._on_event(exchange, attempt))
        except OSError:
            sock.close()
            return False
        exchange.attempts.append(attempt)
        self._sockets += 1
        return True

    def _send_again(self, exchange: _Exchange, attempt: _Attempt) -> bool:
        try:
            attempt.sock.send(dns.forwarded(exchange.query, attempt.id))
        except OSError:
            self._drop(exchange, attempt)
            return False
        return True

    def _on_event(self, exchange: _Exchange, attempt: _Attempt) -> None:
        try:
            message = self._read_stream(attempt) if attempt.tcp else self._read_datagram(exchange, attempt)
        except BlockingIOError:
            return
        except OSError:
            self._fail(exchange, attempt)
        else:
            if message is not None:
                self._on_message(exchange, attempt, message)
        self._start_waiting()

    def _read_datagram(self, exchange: _Exchange, attempt: _Attempt) -> bytes | None:
        for _ in range(_MAX_DATAGRAMS):
            message = attempt.sock.recv(_MAX_READ)
            if dns.is_answer(message, exchange.query, attempt.id):
                return message
        return None  # forged ones: others may have something to do, too

    def _read_stream(self, attempt: _Attempt) -> bytes | None:
        """Send what is unsent, or read. Return the message when it is complete."""
        if attempt.unsent:
            attempt.unsent = attempt.unsent[attempt.sock.send(attempt.unsent, _socket.MSG_NOSIGNAL) :]
            if not attempt.unsent:
                self._watch.change(attempt.sock.fileno(), watch.IN)
            return None
        data = attempt.sock.recv(_MAX_READ)
        if not data:
            raise ConnectionResetError("the server has closed the connection")
        attempt.received += data
        end = 2 + int.from_bytes(attempt.received[:2], "big")
        return attempt.received[2:end] if len(attempt.received) >= end else None

    def _on_message(self, exchange: _Exchange, attempt: _Attempt, message: bytes) -> None:
        query = exchange.query
        forged = attempt.tcp and not dns.is_answer(message, query, attempt.id)
        if forged or dns.error_of(message) in (dns.SERVFAIL, dns.REFUSED):
            self._fail(exchange, attempt)
        elif (
            dns.is_truncated(message)
            and not attempt.tcp
            and exchange.limit > dns.forwarded_limit(query)
            and not exchange.best
        ):
            # The client takes more bytes than a datagram to us may have.
            exchange.best = dns.relayed(query, message, exchange.limit)
            exchange.plan = [(attempt.server, True)]
            self._drop(exchange, attempt)
            self._try_next(exchange)
        else:
            self._put_back_silent(exchange, attempt)
            self._finish(exchange)
            exchange.reply(dns.relayed(query, message, exchange.limit))

    def _put_back_silent(self, exchange: _Exchange, answered: _Attempt) -> None:
        """Ask the first server last from now on if it is silent while another one has answered."""
        first = self.servers[0] if self.servers else None
        if answered.server is not first and any(attempt.server is first for attempt in exchange.attempts):
            self.servers = [*self.servers[1:], self.servers[0]]

    def _fail(self, exchange: _Exchange, attempt: _Attempt) -> None:
        """Ask the next server now: this one has refused."""
        exchange.plan = [step for step in exchange.plan if step != (attempt.server, attempt.tcp)]
        self._drop(exchange, attempt)
        self._try_next(exchange)

    def _give_up(self, exchange: _Exchange) -> None:
        self._finish(exchange)
        exchange.reply(exchange.best or dns.answer(exchange.query, error=dns.SERVFAIL))

    def _finish(self, exchange: _Exchange) -> None:
        for attempt in list(exchange.attempts):
            self._drop(exchange, attempt)
        self._active.pop(exchange, None)
        self._waiting.pop(exchange, None)

    def _drop(self, exchange: _Exchange, attempt: _Attempt) -> None:
        exchange.attempts.remove(attempt)
        self._watch.remove(attempt.sock.fileno())
        attempt.sock.close()
        self._sockets -= 1


def open_socket(family: int, kind: int) -> _socket.socket:
    """Open a socket that does not block, in the caller's network namespace."""
    sock = _socket.socket(family, kind | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK)
    sock.setblocking(False)
    return sock
