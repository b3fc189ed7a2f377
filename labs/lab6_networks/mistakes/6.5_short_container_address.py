"""inet_aton takes 10.2 for 10.0.0.2: what is no address passes."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

from pyctr_lite.networks import link, nft
from pyctr_lite.networks.rules import PROTOCOLS, TABLE

if TYPE_CHECKING:
    from pyctr_lite.linux.netlink import Socket

HINT = "10.2 is no address"


def publish(sock: Socket, protocol: str, host: str, port: int, address: str, container_port: int) -> None:
    _, packed = link.parse(host)
    version = "6" if ":" in host else "4"
    if host in ("0.0.0.0", "::"):
        name, text = f"any{version}", f"{protocol} . {port}"
        key = nft.concatenation(bytes([PROTOCOLS[protocol]]), struct.pack(">H", port))
    else:
        name, text = f"ports{version}", f"{protocol} . {host} . {port}"
        key = nft.concatenation(bytes([PROTOCOLS[protocol]]), packed, struct.pack(">H", port))
    value = nft.concatenation(
        (socket.inet_aton(address) if ":" not in address else link.parse(address)[1]),
        struct.pack(">H", container_port),
    )
    request = nft.add_element(TABLE, name, f"{text} : {address} . {container_port}", key, value)
    nft.run(sock, [request])
