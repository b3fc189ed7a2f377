"""The other engines on this machine, each with its own state directory: whose a published port is."""

from __future__ import annotations

import os

from pyctr_lite import jsonfile
from pyctr_lite.networks import elements, removal
from pyctr_lite.networks.pool import Subnet
from pyctr_lite.networks.store import Network

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.networks.bridge import Sockets


def root_of(directory: str) -> str:
    """Return the state directory of the engine with this directory of a network, which its bridge names."""
    return os.path.dirname(os.path.dirname(directory))


def publisher(sockets: Sockets, root: str, protocol: str, host: str, port: int) -> str:
    """Return the state directory of the other engine whose container has a port, "" if none is known.

    `root` is the caller's own state directory. `host` is an address of this machine, or all of them (0.0.0.0, ::).
    """
    every = "::" if ":" in host else "0.0.0.0"
    for published in elements.published(sockets.filter):
        if published[:3] not in ((protocol, host, port), (protocol, every, port)):
            continue
        for directory in removal.bridges(sockets).values():
            if _has(directory, published.address):
                other = root_of(directory)
                return other if other != root else ""
    return ""


def _has(directory: str, address: str) -> bool:
    try:
        network = Network.from_json(jsonfile.read(f"{directory}/network.json"))
    except FileNotFoundError:
        return False
    bits = 128 if ":" in address else 32
    return any(Subnet(subnet).overlaps(Subnet(f"{address}/{bits}")) for subnet, _, _ in network.subnets)
