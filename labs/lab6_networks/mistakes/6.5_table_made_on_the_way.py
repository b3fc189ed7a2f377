"""A table that is missing is made, which is not this function's business."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from pyctr_lite.networks import link, nft, rules
from pyctr_lite.networks.rules import PROTOCOLS, TABLE

if TYPE_CHECKING:
    from pyctr_lite.linux.netlink import Socket

HINT = "There is no table"


def publish(sock: Socket, protocol: str, host: str, port: int, address: str, container_port: int) -> None:
    _, packed = link.parse(host)
    version = "6" if ":" in host else "4"
    if host in ("0.0.0.0", "::"):
        name, text = f"any{version}", f"{protocol} . {port}"
        key = nft.concatenation(bytes([PROTOCOLS[protocol]]), struct.pack(">H", port))
    else:
        name, text = f"ports{version}", f"{protocol} . {host} . {port}"
        key = nft.concatenation(bytes([PROTOCOLS[protocol]]), packed, struct.pack(">H", port))
    value = nft.concatenation(link.parse(address)[1], struct.pack(">H", container_port))
    request = nft.add_element(TABLE, name, f"{text} : {address} . {container_port}", key, value)
    rules.ensure(sock)
    nft.run(sock, [request])
