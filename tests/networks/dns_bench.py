"""A resolver with clients, and servers of the test's own for it to ask: all in one loop, as in a monitor."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable

import dnslib

from pyctr_lite.networks.resolv_conf import Server
from pyctr_lite.networks.resolver import Resolver
from tests.conftest import SLOWNESS

NAMES = {
    "web": ["10.1.0.2", "fd01::2"],
    "db": ["10.1.0.3"],
    "six": ["fd01::6"],
    "two": ["10.1.0.4", "10.1.0.5", "fd01::4", "fd01::5"],
    "many": [f"10.2.{number >> 8}.{number & 255}" for number in range(1000)],
    "gone": [],
}
ADDRESSES = {"10.1.0.2": "web.lab", "fd01::2": "web.lab", "10.1.0.9": "x" * 64}


class Loop:
    """What a monitor does: poll(2) with a function for each descriptor."""

    def __init__(self) -> None:
        self.watched: dict[int, Callable[[], None]] = {}
        self.rounds = 0
        """How often a descriptor was ready."""

    def until(self, condition: Callable[[], object], seconds: float = 10) -> bool:
        """Handle events until the condition holds; False if it does not in time."""
        end = time.monotonic() + seconds * SLOWNESS
        while not condition():
            left = end - time.monotonic()
            if left <= 0:
                return False
            poller = select.poll()
            for fd in self.watched:
                poller.register(fd, select.POLLIN)
            for fd, _ in poller.poll(min(left, 0.5) * 1000):
                self.rounds += 1
                if fd in self.watched:
                    self.watched[fd]()
        return True


class FakeServer:
    """A DNS server on 127.0.0.1. `reply` makes the answer to a query, or None; `asked` are the queries so far."""

    def __init__(self, loop: Loop, reply: Callable[[dnslib.DNSRecord, bool], bytes | None]) -> None:
        self.loop, self.reply = loop, reply
        self.asked: list[tuple[str, str, bool]] = []
        self.ids: list[int] = []
        self.in_pieces = False
        self.peers: list[tuple[str, int]] = []
        while True:
            self.udp, self.tcp = socket.socket(type=socket.SOCK_DGRAM), socket.socket()
            self.udp.bind(("127.0.0.1", 0))
            try:
                self.tcp.bind(self.udp.getsockname())
                break
            except OSError:  # another process has this port of TCP
                self.udp.close()
                self.tcp.close()
        self.tcp.listen()
        self.connections: list[socket.socket] = []
        loop.watched[self.udp.fileno()] = self.on_datagram
        loop.watched[self.tcp.fileno()] = self.on_connection

    @property
    def server(self) -> Server:
        return Server("127.0.0.1", port=self.udp.getsockname()[1])

    def note(self, message: bytes, peer: tuple[str, int], tcp: bool) -> bytes | None:
        query = dnslib.DNSRecord.parse(message)
        self.asked.append((str(query.q.qname), dnslib.QTYPE[query.q.qtype], tcp))
        self.ids.append(query.header.id)
        self.peers.append(peer)
        return self.reply(query, tcp)

    def on_datagram(self) -> None:
        message, peer = self.udp.recvfrom(65535)
        if (answer := self.note(message, peer, False)) is not None:
            self.udp.sendto(answer, peer)

    def on_connection(self) -> None:
        connection, peer = self.tcp.accept()
        self.connections.append(connection)
        self.loop.watched[connection.fileno()] = lambda: self.on_stream(connection, peer)

    def on_stream(self, connection: socket.socket, peer: tuple[str, int]) -> None:
        del self.loop.watched[connection.fileno()]
        message = connection.recv(65537)
        assert len(message) == 2 + int.from_bytes(message[:2], "big"), "sent in one piece"
        if (answer := self.note(message[2:], peer, True)) is not None:
            packet = struct.pack(">H", len(answer)) + answer
            if self.in_pieces:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.sendall(packet[:1])
                self.loop.until(lambda: False, 0.02)
                connection.sendall(packet[1:20])
                self.loop.until(lambda: False, 0.02)
                packet = packet[20:]
            connection.sendall(packet)
        else:
            connection.close()

    def close(self) -> None:
        for sock in (self.udp, self.tcp, *self.connections):
            self.loop.watched.pop(sock.fileno(), None)
            sock.close()


class Bench:
    """A resolver on 127.0.0.1 that knows NAMES, and clients of it."""

    def __init__(self, **more: bool) -> None:
        self.loop = Loop()
        self.udp, self.tcp = socket.socket(type=socket.SOCK_DGRAM), socket.socket()
        self.looked_up: list[str] = []
        for sock in (self.udp, self.tcp):
            sock.bind(("127.0.0.1", 0))
        self.tcp.listen(64)
        self.addresses = {"udp": self.udp.getsockname(), "tcp": self.tcp.getsockname()}
        self.failures: list[Exception] = []
        more = {"failed": self.failures.append, **more}
        self.resolver = Resolver(self.udp, self.tcp, self.look_up, lambda a: ADDRESSES.get(a, ""), **more)
        self.loop.watched[self.resolver.fileno()] = self.resolver.handle
        self.servers: list[FakeServer] = []
        self.clients: list[socket.socket] = []

    def look_up(self, name: str) -> list[str] | None:
        self.looked_up.append(name)
        if name == "broken":
            raise OSError("the state cannot be read")
        return NAMES.get(name)

    def serve(self, reply: Callable[[dnslib.DNSRecord, bool], bytes | None]) -> FakeServer:
        """Add a server that the resolver asks."""
        server = FakeServer(self.loop, reply)
        self.servers.append(server)
        self.resolver.servers = [*self.resolver.servers, server.server]
        return server

    def client(self, kind: str = "udp") -> socket.socket:
        client = socket.socket(type=socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
        client.connect(self.addresses[kind])
        client.setblocking(False)
        self.clients.append(client)
        return client

    def receive(self, client: socket.socket, seconds: float = 10) -> bytes | None:
        """The next datagram, or message over TCP; b"" at the end of a connection, None if nothing comes."""

        def readable() -> bool:
            return bool(select.select([client], [], [], 0)[0])

        if client.type == socket.SOCK_DGRAM:
            return client.recv(65535) if self.loop.until(readable, seconds) else None
        got = b""
        while len(got) < 2 or len(got) < 2 + int.from_bytes(got[:2], "big"):
            if not self.loop.until(readable, seconds):
                return None
            wanted = 2 - len(got) if len(got) < 2 else 2 + int.from_bytes(got[:2], "big") - len(got)
            if not (data := client.recv(wanted)):
                return b""
            got += data
        return got[2:]

    def ask(self, name: str, kind: str = "A", *, tcp: bool = False, edns: int = 0) -> dnslib.DNSRecord:
        """The answer to a question."""
        client = self.client("tcp" if tcp else "udp")
        message = question(name, kind, edns=edns)
        client.send(len(message).to_bytes(2, "big") + message if tcp else message)
        answer = self.receive(client)
        assert answer, "no answer"
        read = dnslib.DNSRecord.parse(answer)
        assert read.header.id == dnslib.DNSRecord.parse(message).header.id
        assert str(read.q.qname) == name.removesuffix(".") + "."
        return read

    def close(self) -> None:
        for server in self.servers:
            server.close()
        for client in self.clients:
            client.close()
        self.resolver.close()


def question(name: str, kind: str = "A", *, edns: int = 0) -> bytes:
    record = dnslib.DNSRecord.question(name, kind)
    if edns:
        record.add_ar(dnslib.EDNS0(udp_len=edns))
    return bytes(record.pack())


def fixed(*addresses: str, **flags: int) -> Callable[[dnslib.DNSRecord, bool], bytes]:
    """A reply with these addresses, over UDP cut at 512 bytes as a server does."""

    def reply(query: dnslib.DNSRecord, tcp: bool) -> bytes:
        answer = query.reply()
        for name, value in flags.items():
            setattr(answer.header, name, value)
        for address in addresses:
            answer.add_answer(dnslib.RR(query.q.qname, rdata=dnslib.A(address), ttl=7))
        if not tcp and len(answer.pack()) > max([512, *(part.edns_len for part in query.ar)]):
            answer.header.tc, answer.rr = 1, []
        return bytes(answer.pack())

    return reply


def data(answer: dnslib.DNSRecord) -> list[str]:
    return [str(record.rdata) for record in answer.rr]


def silent(query: dnslib.DNSRecord, tcp: bool) -> None:
    """Make no reply: over TCP, the connection ends."""
