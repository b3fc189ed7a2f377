"""Network namespaces as a check sees them from the outside: their links, and whether packets pass.

All of it enters a namespace and comes back, so it is for a process with one thread.
"""

from __future__ import annotations

import os
import socket
from functools import partial
from typing import TYPE_CHECKING

from labs.kit.checks.arena import SLOWNESS
from pyctr_lite import linux
from pyctr_lite.linux import netlink
from pyctr_lite.networks import link

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Result = TypeVar("Result")


def inside(pid: int, work: Callable[[], Result]) -> Result:
    """Call a function in the network namespace of a process."""
    own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    with linux.closing(own), linux.closing(os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)) as there:
        linux.setns(there, linux.CLONE_NEWNET)
        try:
            return work()
        finally:
            linux.setns(own, linux.CLONE_NEWNET)


def links() -> dict[str, link.Link]:
    """Return the links of the caller's namespace, by name."""
    with netlink.Socket() as sock:
        return {each.name: each for each in link.links(sock)}


def add_bridge(name: str, mtu: int = 1500) -> int:
    """Make a bridge in the caller's namespace. Returns its index."""
    with netlink.Socket() as sock:
        return link.add_bridge(sock, name, "02:42:0a:01:00:01", mtu)


def listening(address: str, port: int) -> socket.socket:
    """Return a TCP socket that listens in the caller's namespace."""
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    listener.bind((address, port))
    listener.listen()
    listener.settimeout(3 * SLOWNESS)
    return listener


def connected(pid: int, address: str, port: int, listener: socket.socket) -> str:
    """Connect from a process's namespace: the client's address as the listener sees it, or "" if it cannot."""
    try:
        with inside(pid, partial(socket.create_connection, (address, port), 1.5 * SLOWNESS)):
            connection, (peer, *_) = listener.accept()
            connection.close()
            return str(peer)
    except OSError:
        return ""
