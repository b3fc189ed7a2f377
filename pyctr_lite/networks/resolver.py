"""The DNS server of a container in user-defined networks, at 127.0.0.11: names of containers, and all others.

The container's monitor runs it, in its own loop, which watches one descriptor and calls `handle` when that is
readable. No call waits, and there is no thread. The caller knows the containers' names; other queries are sent on
to the host's own resolvers, from the host's network namespace: neither the bridge nor a firewall is in their way.
"""

from __future__ import annotations

import _socket
import time

from pyctr_lite.networks import dns, forwarder, streams, watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pyctr_lite.networks.dns import Query, Record
    from pyctr_lite.networks.resolv_conf import Server

_MAX_QUERY = 4096
"""Bytes of a query over UDP; what is behind them is cut off."""
_BATCH = 32
"""Queries that are answered before the monitor's loop may do something else."""
_FAMILIES = {dns.A: _socket.AF_INET, dns.AAAA: _socket.AF_INET6}


class Resolver:
    """A DNS server on two sockets. `servers` answer what it does not know; it may be replaced at any time.

    `addresses` returns the addresses of a name, of both versions, or None if no container has it. The name is in
    lower case, without a dot at its end and without "/". `name_of` returns the name of an address, or "". Both are
    methods of `names.Names`. If one of them raises OSError, the client gets SERVFAIL.

    `open_inside` opens a socket in the container's network namespace, for servers that are there. With `single`
    False, a name of one label that is unknown here is not sent on. `failed` gets errors of `answer` that are bugs;
    the client gets SERVFAIL.
    """

    def __init__(
        self,
        udp: _socket.socket,
        tcp: _socket.socket,
        addresses: Callable[[str], Sequence[str] | None],
        name_of: Callable[[str], str],
        servers: Sequence[Server] = (),
        *,
        open_inside: Callable[[int, int], _socket.socket] = forwarder.open_socket,
        single: bool = True,
        failed: Callable[[Exception], None] = lambda error: None,
    ) -> None:
        self._udp, self._tcp, self.addresses, self.name_of, self.single = udp, tcp, addresses, name_of, single
        self._failed = failed
        self._turns: dict[tuple[str, int], int] = {}
        self._watch = watch.Watch(self._on_timer)
        self._forwarder = forwarder.Forwarder(self._watch, open_inside)
        self.servers = servers
        udp.setblocking(False)
        tcp.setblocking(False)
        self._watch.add(udp.fileno(), watch.IN, self._read)
        self._streams = streams.Streams(self._watch, tcp, self._ask_by_tcp)

    @property
    def servers(self) -> Sequence[Server]:
        """The servers that answer other names. Without any (internal networks), the answer is SERVFAIL."""
        return self._forwarder.servers

    @servers.setter
    def servers(self, servers: Sequence[Server]) -> None:
        self._forwarder.servers = servers

    def fileno(self) -> int:
        """Return the descriptor to watch: readable if there is something to do."""
        return self._watch.fileno()

    def handle(self) -> None:
        """Do what can be done without waiting. Never raises because of what a client or a server has sent."""
        self._watch.handle()

    def close(self) -> None:
        """Close all sockets: they would keep the container's network namespace alive."""
        self._forwarder.close()
        self._streams.close()
        self._watch.remove(self._udp.fileno())
        self._watch.close()
        self._udp.close()
        self._tcp.close()

    def answer(self, query: Query, limit: int) -> bytes | None:
        """Return the answer of at most `limit` bytes, or None if the query is for the host's servers.

        A query with an `error` is answered with that. Of the others, those for names and addresses of containers
        are answered here, in the class IN: a name has the records of the type that was asked for, maybe none; an
        address, asked for by its reverse name as PTR, has the container's name. If one of the two cannot be looked
        up because of an OSError, the answer is SERVFAIL. All other queries are the host's; but without `single`
        the answer for an unknown name of one label has no records, for A and AAAA: as Docker if ndots was set.
        """
        if query.error:
            return dns.answer(query, error=query.error)
        if not query.name or query.class_ != dns.IN:
            return None
        try:
            if query.kind == dns.PTR and (address := dns.address_of(query.name)):
                name = self.name_of(address)
                return dns.answer(query, pointer(name), limit) if name else None
            addresses = self.addresses(query.name)
            if addresses is not None:
                # Without a record of the type that was asked for, the answer has none: NXDOMAIN would mean that
                # the name has no record of any type, and musl would not use the address of the other version.
                return dns.answer(query, self.records(query, addresses), limit)
        except OSError:
            return dns.answer(query, error=dns.SERVFAIL)
        if not self.single and "." not in query.name and query.kind in _FAMILIES:
            return dns.answer(query)  # the client then tries its search domains
        return None

    def records(self, query: Query, addresses: Sequence[str]) -> Iterator[Record]:
        """Yield the addresses of the type that was asked for. Of several, another one is the first each time."""
        for kind, family in _FAMILIES.items():
            if query.kind not in (kind, dns.ANY):
                continue
            found = [address for address in addresses if (":" in address) == (kind == dns.AAAA)]
            if len(found) > 1:
                turn = self._turns.get((query.name, kind), 0) % len(found)
                self._turns[query.name, kind] = turn + 1
                found = found[turn:] + found[:turn]
            for address in found:
                yield kind, _socket.inet_pton(family, address)

    def _answer(self, query: Query, limit: int) -> bytes | None:
        """Call `answer`. A bug in it costs one answer, and not the monitor that serves the container."""
        try:
            return self.answer(query, limit)
        except Exception as error:
            self._failed(error)
            return dns.answer(query, error=dns.SERVFAIL)

    def _read(self, _: int) -> None:
        for _number in range(_BATCH):
            try:
                message, client = self._udp.recvfrom(_MAX_QUERY)
            except OSError:  # mostly BlockingIOError: no more
                return
            query = dns.parse_query(message)
            if query is None:
                continue
            if (answer := self._answer(query, query.limit)) is not None:
                self._send(answer, client)
            else:
                self._forward(query, client)

    def _forward(self, query: Query, client: tuple[str, int]) -> None:
        self._forwarder.ask(query, query.limit, lambda answer: self._send(answer, client), tcp=False)

    def _send(self, answer: bytes, client: tuple[str, int]) -> None:
        try:
            self._udp.sendto(answer, client)
        except OSError:
            pass  # the client asks again: its buffer is full, or its rules forbid the answer

    def _ask_by_tcp(self, message: bytes, reply: Callable[[bytes], None]) -> bool:
        query = dns.parse_query(message)
        if query is None:
            return False
        if (answer := self._answer(query, dns.MAX_LIMIT)) is not None:
            reply(answer)
        else:
            self._forwarder.ask(query, dns.MAX_LIMIT, reply, tcp=True)
        return True

    def _on_timer(self) -> float:
        now = time.monotonic()
        return min(self._forwarder.expire(now), self._streams.expire(now))


def pointer(name: str) -> list[Record]:
    """Return the record with the name of a container, or none if DNS cannot express the name."""
    try:
        return [(dns.PTR, dns.encode_name(name))]
    except ValueError:
        return []  # a container may have a name that DNS cannot express
