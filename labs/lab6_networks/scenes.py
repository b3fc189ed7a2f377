"""What is done with the functions of lab 6 where a plain call is not enough. It runs in the learner's process.

A scene arranges, calls and returns what it saw. It knows nothing of what is right: the checks judge that.
"""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Callable
from typing import Any

from pyctr_lite.linux import netlink
from pyctr_lite.namespaces import network
from pyctr_lite.networks import dns, dns_listener, link
from pyctr_lite.networks.resolver import Resolver

_NEWLINK, _ERROR = 16, 2


def in_a_body(function: Callable[..., Any], fixed: bytes, attributes: list[tuple[int, bytes]]) -> list[str]:
    """Ask the kernel for a link, described by attributes that the function makes: the names of all links."""
    with netlink.Socket() as sock:
        body = fixed + b"".join(function(*each) for each in attributes)
        sock.request("ip link add", _NEWLINK, netlink.CREATE | netlink.EXCL, body)
        return [each.name for each in link.links(sock)]


def in_one_packet(function: Callable[..., Any], requests: list[tuple[int, int, int, bytes]]) -> list[list[int]]:
    """Send several messages that the function makes behind each other: serial number and errno of each answer."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, netlink.ROUTE) as sock:
        sock.settimeout(1)
        sock.send(b"".join(function(*each) for each in requests))
        found: list[list[int]] = []
        try:
            while len(found) < len(requests):
                found += _answers(sock.recv(1 << 16))
        except TimeoutError:
            pass
        return found


def _answers(data: bytes) -> list[list[int]]:
    found = []
    while data:
        length, kind, _, serial, _ = struct.unpack_from("=IHHII", data)
        if kind == _ERROR:
            found.append([serial, -struct.unpack_from("=i", data, 16)[0]])
        data = data[-(-length // 4) * 4 :]
    return found


def by_netlink(function: Callable[..., Any], protocol: int, *args: Any, **kwargs: Any) -> Any:
    """Call the function with a netlink socket, and use the socket once more afterwards."""
    with netlink.Socket(protocol) as sock:
        result = function(sock, *args, **kwargs)
        if protocol == netlink.ROUTE:
            link.index(sock, "lo")
        return result


class _Names:
    """Names and addresses of containers; what is looked up is noted. `broken` cannot be read, `wrong` is a bug."""

    def __init__(
        self,
        addresses: dict[str, list[str]],
        names: dict[str, str],
        broken: str = "",
        wrong: str = "",
        number: int = 13,
    ) -> None:
        self.known, self.names, self.broken, self.wrong, self.number = addresses, names, broken, wrong, number
        self.asked: list[str] = []

    def addresses(self, name: str) -> list[str] | None:
        self._ask(name)
        return self.known.get(name)

    def name_of(self, address: str) -> str:
        self._ask(address)
        return self.names.get(address, "")

    def _ask(self, text: str) -> None:
        self.asked.append(text)
        if self.broken and text == self.broken:
            raise OSError(self.number, os.strerror(self.number), text)
        if self.wrong and text == self.wrong:
            raise ZeroDivisionError


def asked(
    function: Callable[..., Any],
    queries: list[tuple[bytes, int]],
    addresses: dict[str, list[str]],
    names: dict[str, str] | None = None,
    *,
    broken: str = "",
    wrong: str = "",
    number: int = 13,
    single: bool = True,
) -> dict[str, Any]:
    """Ask a resolver's method `answer` some queries, each with its limit: the answers, and what was looked up.

    `number` is the errno of what is `broken`.
    """
    known = _Names(addresses, names or {}, broken, wrong, number)
    udp, tcp = socket.socket(type=socket.SOCK_DGRAM), socket.socket()
    resolver = Resolver(udp, tcp, known.addresses, known.name_of, single=single)
    try:
        answers = [function(resolver, dns.parse_query(message), limit) for message, limit in queries]
        return {"answers": answers, "asked": known.asked}
    finally:
        resolver.close()


def serve(function: Callable[..., Any], addresses: dict[str, list[str]], servers: list[Any]) -> None:
    """Serve as a container's DNS server at 127.0.0.11, port 53, until the process is killed."""
    network.bring_up_loopback()
    listener = dns_listener.listen(os.getpid())
    known = _Names(addresses, {})
    resolver = Resolver(listener.udp, listener.tcp, known.addresses, known.name_of, servers)
    while True:
        select.select([resolver], [], [])
        resolver.handle()
