"""The elements of the engine's packet filter, read back: published ports, containers' addresses, bridges.

The table is shared by all engines of a machine.
"""

from __future__ import annotations

import _socket
from typing import TYPE_CHECKING, NamedTuple

from pyctr_lite.networks import nft, rules

if TYPE_CHECKING:
    from pyctr_lite.linux.netlink import Socket

_SIZES = {"4": (_socket.AF_INET, 4, "0.0.0.0"), "6": (_socket.AF_INET6, 16, "::")}


class Port(NamedTuple):
    """A published port: the arguments of `rules.publish`."""

    protocol: str
    host: str
    port: int
    address: str
    container_port: int


def published(sock: Socket) -> list[Port]:
    """List the published ports of all engines."""
    words = {number: word for word, number in rules.PROTOCOLS.items()}
    found = []
    for suffix, (family, size, every) in _SIZES.items():
        for set in (f"any{suffix}", f"ports{suffix}"):
            for key, value in _elements(sock, set):
                host = _socket.inet_ntop(family, key[4 : 4 + size]) if set.startswith("ports") else every
                port = int.from_bytes(key[-4:-2])
                address = _socket.inet_ntop(family, value[:size])
                found.append(Port(words[key[0]], host, port, address, int.from_bytes(value[size : size + 2])))
    return found


def own(sock: Socket) -> list[str]:
    """List the addresses of the containers of all engines (`rules.add_own`)."""
    return [
        _socket.inet_ntop(family, key[:size])
        for suffix, (family, size, _) in _SIZES.items()
        for key, _ in _elements(sock, f"own{suffix}")
    ]


def bridges(sock: Socket) -> list[str]:
    """List the names of the bridges of all engines (`rules.add_bridge`)."""
    return [key.rstrip(b"\0").decode(errors="surrogateescape") for key, _ in _elements(sock, "bridges")]


def _elements(sock: Socket, set: str) -> list[tuple[bytes, bytes]]:
    try:
        return nft.elements(sock, rules.TABLE, set)
    except FileNotFoundError:
        return []
