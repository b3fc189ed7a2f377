"""A published port as an element of a map (exercise 6.5)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from labs.kit import Todo
from pyctr_lite.networks import link, nft
from pyctr_lite.networks.rules import PROTOCOLS, TABLE

if TYPE_CHECKING:
    from pyctr_lite.linux.netlink import Socket


def publish(sock: Socket, protocol: str, host: str, port: int, address: str, container_port: int) -> None:
    """Lead a port of this machine, on its address `host` or on all ("0.0.0.0", "::"), to a container's.

    That is one element of a map in the table TABLE; each field is in network byte order:
    `ports4` and `ports6` have protocol . address . port → address . port of the container, and `any4` and `any6`,
    for all addresses of this machine, protocol . port → address . port of the container.
    A protocol is one byte, a number of PROTOCOLS; a port has two bytes. Any other one is an error.
    Fails with EEXIST if the port is published on that address, ENOENT without the table; the error says what was
    asked, as nft(8) writes the element: "tcp . 192.0.2.1 . 8080 : 10.1.0.2 . 80".
    """
    # 1. `link.parse(address)` returns the family (socket.AF_INET or AF_INET6) and the bytes of an address. Which
    #    of the four maps is meant for "127.0.0.1", which for "0.0.0.0", which for "::"?
    # 2. Which byte comes first in a port on the wire? `nft.concatenation(field, field, …)` puts fields together,
    #    as the kernel's registers of four bytes want them: look what it does to a field of one byte.
    # 3. `nft.add_element(TABLE, map, "text for --explain", key, value)` returns a request, and changes nothing
    #    yet: nft.run(sock, [request]) does. What does the kernel say to a key that is there?
    # 4. Two containers want the same port. Who has to hear of it, and what becomes of the first one's element?
    raise Todo("6.5")
