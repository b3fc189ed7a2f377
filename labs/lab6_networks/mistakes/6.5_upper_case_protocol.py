"""Upper case is made lower: TCP is no protocol of PROTOCOLS, and passes."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from pyctr_lite.networks import link, nft
from pyctr_lite.networks.rules import PROTOCOLS, TABLE

if TYPE_CHECKING:
    from pyctr_lite.linux.netlink import Socket

HINT = "There is no such protocol"


def publish(sock: Socket, protocol: str, host: str, port: int, address: str, container_port: int) -> None:
    _, packed = link.parse(host)
    version = "6" if ":" in host else "4"
    if host in ("0.0.0.0", "::"):
        name, text = f"any{version}", f"{protocol} . {port}"
        key = nft.concatenation(bytes([PROTOCOLS[protocol.lower()]]), struct.pack(">H", port))
    else:
        name, text = f"ports{version}", f"{protocol} . {host} . {port}"
        key = nft.concatenation(bytes([PROTOCOLS[protocol.lower()]]), packed, struct.pack(">H", port))
    value = nft.concatenation(link.parse(address)[1], struct.pack(">H", container_port))
    request = nft.add_element(TABLE, name, f"{text} : {address} . {container_port}", key, value)
    nft.run(sock, [request])
