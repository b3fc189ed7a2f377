"""Find and remove what a test leaves of its networks: bridges, cables, taken addresses, elements of the filter.

Only what belongs to the networks of the test's own state directories is looked at.
"""

from __future__ import annotations

import select
import socket
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pyctr_lite.engine.state.paths import Paths
from pyctr_lite.engine.stores.networks import Networks
from pyctr_lite.networks import bridge, elements, link, rules
from pyctr_lite.networks.pool import Subnet
from pyctr_lite.networks.store import Network, NetworkStore

if TYPE_CHECKING:
    from collections.abc import Callable

    Found = dict[str, Callable[[], object]]
    """What was found, a line each, and how to remove it."""

LINKS = Path("/sys/class/net")
PATIENCE = 5.0
"""Seconds that the kernel may take to remove a container's network namespace."""


def find(tmp_path: Path) -> Found:
    """Find all bridges of the state directories `tmp_path` and those in it, and what their containers have."""
    roots = [tmp_path, *tmp_path.iterdir()] if tmp_path.is_dir() else []
    found: Found = {}
    for root in roots:
        if (root / "networks").is_dir():
            networks = NetworkStore(str(root)).list()
            found |= of_containers(root, networks)
            found |= {_line(name): partial(_remove, name) for name in map(_bridge, networks) if name}
    for path in LINKS.glob("*/ifalias"):
        with suppress(OSError):  # another's link has just vanished
            if f"{tmp_path}/" in path.read_text():  # its network's record may be gone
                found[_line(path.parent.name)] = partial(_remove, path.parent.name)
    return found


def of_containers(root: Path, networks: list[Network]) -> Found:
    """Find the cables, addresses and elements of containers, whether these exist or not."""
    found: Found = {}
    for network in networks:
        for path in (root / "run/networks" / network.id / "addresses").glob("*"):
            found[f"address {path.name} of {network.name}: {path}"] = path.unlink
        for cable in (LINKS / network.bridge / "brif").glob("*"):
            if not _vanishes(cable):
                found[f"link {cable.name}, at {network.bridge}"] = partial(_remove, cable.name)
    if any(map(_bridge, networks)):  # else its subnet may belong to another engine by now
        found |= _elements([Subnet(row[0]) for network in networks if _bridge(network) for row in network.subnets])
    return found


def discard_networks(root: Path) -> list[str]:
    """Remove the networks of a state directory, whose containers are gone. Return what these left, a line each."""
    networks = Networks(Paths(str(root)))
    left = of_containers(root, networks.list())
    for remove in left.values():
        remove()
    for network in networks.list():
        networks.discard(network)
    return list(left)


def _elements(subnets: list[Subnet]) -> Found:
    def has(address: str) -> bool:
        return any(subnet.overlaps(Subnet(f"{address}/{128 if ':' in address else 32}")) for subnet in subnets)

    found: Found = {}
    with bridge.Sockets() as sockets:
        for port in elements.published(sockets.filter):
            if has(port.address):
                found[f"published port {port}"] = partial(_withdraw, rules.withdraw, *port[:3])
        for address in elements.own(sockets.filter):
            if has(address):
                found[f"element of {address}"] = partial(_withdraw, rules.remove_own, address)
    return found


def _bridge(network: Network) -> str:
    return network.bridge if (LINKS / network.bridge).exists() else ""


def _vanishes(cable: Path) -> bool:
    """Wait for the end of a cable: the kernel removes it with its namespace, a moment after the processes."""
    deadline = time.monotonic() + PATIENCE
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as changes:
        changes.bind((0, 1))  # RTMGRP_LINK
        while cable.exists() and (left := deadline - time.monotonic()) > 0:
            if select.select([changes], [], [], left)[0]:
                changes.recv(65536)
    return not cable.exists()


def _line(name: str) -> str:
    return f"link {name}"


def _remove(name: str) -> None:
    with bridge.Sockets() as sockets:
        rules.remove_bridge(sockets.filter, name)
        link.remove(sockets.route, name)


def _withdraw(function: Callable[..., None], *arguments: object) -> None:
    with bridge.Sockets() as sockets:
        function(sockets.filter, *arguments)
