"""NetworkStore that also makes the bridges, emits events, and has the default network.  [hot]

The subnets of a machine are shared by all engines on it, and by its own links. So a subnet is chosen, and the
bridge with it made, under one lock of the machine.
"""

from __future__ import annotations

import fcntl
import os
import time

from pyctr_lite.digest import sha256
from pyctr_lite.engine.events import writer as events
from pyctr_lite.engine.state import lock
from pyctr_lite.errors import Conflict, NotFound, PyctrError
from pyctr_lite.linux.scoped import closing
from pyctr_lite.networks import DEFAULT, bridge, foreign, rules, store
from pyctr_lite.networks.pool import Addresses, Subnet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyctr_lite.engine.state.paths import Paths
    from pyctr_lite.networks.store import Network, Rows

LOCK = "/run/pyctr_lite-networks.lock"
"""Held while a bridge is made or removed, by whichever engine of the machine."""
DEFAULT_BRIDGE = "pc-bridge"
"""The bridge of the default network of the default state directory; others have generated names."""
MODES = ("none", "host")
"""Other values of --network than networks and container:ID. `network ls` lists them, too, as Docker does."""


class Networks(store.NetworkStore):
    """The networks of an engine."""

    def __init__(self, paths: Paths) -> None:
        super().__init__(paths.root)
        self.paths = paths

    def get(self, reference: str) -> Network:
        """Return a network; the default one is made if it is missing. Raises NotFound or Conflict."""
        try:
            return super().get(reference)
        except NotFound:
            if reference != DEFAULT:
                raise
        try:
            return self._create(DEFAULT, options=self._default_options())
        except Conflict as error:
            try:
                return super().get(reference)  # another command has just made it
            except NotFound:
                raise error from None

    def make(self, name: str, rows: Rows = (), *, ipv6: bool = False, **more: Any) -> Network:  # type: ignore[assignment]
        """Create a network with its bridge. `rows` are the given subnet, gateway and range of each family.

        With `ipv6` it gets an IPv6 subnet even if none is given. `more` are arguments of `store.Network`. Raises
        InvalidArgument, Conflict for a name or a subnet in use.
        """
        if name in store.RESERVED:
            raise PyctrError(
                f"operation is not permitted on predefined {name} network",
                "it exists already: choose another name",
            )
        return self._create(name, rows, ipv6=ipv6, **more)

    def ensure(self, sockets: bridge.Sockets, network: Network, *, fixed: bool = False) -> int:
        """Make a network's bridge again if it is gone, as after a reboot, or its rules are. Returns its index.

        If somebody has taken its subnet meanwhile, the network gets another one. Raises Conflict if it must not:
        the user has chosen the subnet or, with `fixed`, an address of it, or a container has an address of it.
        The caller holds the lock.
        """
        os.makedirs(f"{self.paths.run}/networks", 0o700, exist_ok=True)
        found = bridge.find(sockets, network)
        if found is not None and found.up and rules.are_current(sockets.filter):
            foreign.ensure(sockets.filter, network.bridge)
            return found.index
        if found is None:
            self._renew_subnets(sockets, network, fixed)
        return bridge.ensure(sockets, network, f"{self.directory}/{network.id}")

    def delete(self, reference: str) -> None:
        """Remove a network of the user's. Raises NotFound, and Conflict if it is predefined or in use."""
        name = self.identify(reference)
        if name in (DEFAULT, *MODES):
            raise Conflict(f"{name} is a pre-defined network and cannot be removed")
        self.discard(self.get(name))

    def identify(self, reference: str) -> str:
        """Return the name of the network or mode that a name, an id or the beginning of an id means.

        Raises NotFound, or Conflict if several networks have an id with that beginning.
        """
        if reference in (DEFAULT, *MODES):
            return reference
        try:
            return self.get(reference).name
        except NotFound:
            for name in MODES:
                if reference and mode_id(name).startswith(reference):
                    return name
            raise

    def prune(self, chosen: Callable[[Network], bool]) -> list[str]:
        """Remove the chosen networks that no running container is connected to. Returns their names.

        The default network stays, but its bridge goes: the next container makes it again.
        """
        removed = []
        for network in self.list():
            if not chosen(network):
                continue
            try:
                if network.name == DEFAULT:
                    self.remove_bridge(network)
                    continue
                self.discard(network)
            except Conflict:
                continue
            removed.append(network.name)
        return removed

    def discard(self, network: Network) -> None:
        """Remove a network and its bridge. Raises Conflict while a container is connected to it."""
        from pyctr_lite.rootfs import walk

        with lock.References(self.paths.containers), self.hold():
            if owners := self.owners(network):
                raise Conflict(
                    f"error while removing network: network {network.name} id {network.id} has active endpoints",
                    _names(owners),
                )
            with bridge.Sockets() as sockets:
                bridge.remove(sockets, network)
            self.remove(network)
            try:
                walk.remove_tree(f"{self.paths.run}/networks/{network.id}")
            except FileNotFoundError:
                pass  # it never had a container
        events.emit_network(self.paths, "destroy", network)

    def remove_bridge(self, network: Network) -> None:
        """Remove a network's bridge; the next container makes it again. Raises Conflict while one is connected."""
        with self.hold():
            if owners := self.owners(network):
                raise Conflict(f"network {network.name} has active endpoints", _names(owners))
            with bridge.Sockets() as sockets:
                bridge.remove(sockets, network)

    def remove_orphan(self, name: str) -> None:
        """Remove a bridge whose network is gone, unless it has been used meanwhile. Idempotent."""
        from pyctr_lite.networks import removal

        with self.hold(), bridge.Sockets() as sockets:
            if name in removal.orphans(sockets):
                removal.remove_bridge(sockets, name)

    def reread(self, network: Network) -> Network:
        """Return a network as it is now. The caller holds the lock. Raises NotFound if it has been removed."""
        try:
            return self.read(network.id)
        except FileNotFoundError:
            raise NotFound(f"network {network.name} not found", "it has just been removed") from None

    @staticmethod
    def hold() -> closing:
        """Lock the networks of this machine, of all engines: until the lock is closed, none is made or removed."""
        fd = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
        return closing(fd)

    def exists(self, id: str) -> bool:
        """Return whether there is a network with an id."""
        return os.path.exists(f"{self.directory}/{id}")

    def owners(self, network: Network) -> set[str]:
        """Return the ids of the containers that have an address in a network."""
        directory = self.addresses_directory(network.id)
        return set(Addresses(directory, Subnet(network.subnets[0][0]), None, ()).owners().values())

    def addresses(self, network: Network) -> list[Addresses]:
        """Return the address pool of each subnet of a network."""
        directory = self.addresses_directory(network.id)
        return [
            Addresses(
                directory,
                Subnet(subnet),
                Subnet(within) if within else None,
                (gateway, *_reserved(network, subnet)),
            )
            for subnet, gateway, within in network.subnets
        ]

    def addresses_directory(self, id: str) -> str:
        """Return the directory with one file per taken address of a network."""
        return f"{self.paths.run}/networks/{id}/addresses"

    def names_directory(self, id: str) -> str:
        """Return the directory with the names of a network's containers (`networks.names`)."""
        return f"{self.paths.run}/networks/{id}/names"

    def _create(self, name: str, given: Rows = (), *, ipv6: bool = False, **more: Any) -> Network:  # type: ignore[assignment]
        from pyctr_lite.engine.stores import subnets

        chosen = [str(Subnet(row[0])) for row in given]
        with self.hold(), bridge.Sockets() as sockets:
            network = self.create(
                name, lambda others: subnets.choose(sockets, given, others, ipv6=ipv6), given=chosen, **more
            )
            try:
                if bridge.find(sockets, network) is not None:
                    raise Conflict(f"a link with the name {network.bridge} exists", "ip link shows it")
            except BaseException:
                self.remove(network)
                raise
            try:
                bridge.ensure(sockets, network, f"{self.directory}/{network.id}")
            except BaseException:
                bridge.remove(sockets, network)
                self.remove(network)
                raise
        if name != DEFAULT:
            events.emit_network(self.paths, "create", network)
        return network

    def _renew_subnets(self, sockets: bridge.Sockets, network: Network, fixed: bool) -> None:
        from pyctr_lite.engine.stores import subnets
        from pyctr_lite.linux import explain

        obstacle = ""
        if owners := self.owners(network):
            ids = " ".join(sorted(id[:12] for id in owners))
            obstacle = f"stop its containers, and the next one to start gets another subnet: {ids}"
        elif fixed:
            obstacle = "remove it, or start a container without --ip first: that gives the network another subnet"
        others = [other for other in self.list() if other.id != network.id]
        began = time.perf_counter_ns()
        rows = subnets.renew(sockets, network, others, obstacle)
        if rows == network.subnets:
            return
        new = " ".join(row[0] for row in rows if row not in network.subnets)
        previous = " ".join(row[0] for row in network.subnets if row not in rows)
        network.subnets = rows
        self.change(network)
        events.emit_network(self.paths, "update", network, subnet=new, previous=previous)
        text = f"network {network.name}: subnet {new} instead of {previous}, which somebody has taken"
        explain.narrate(text, began)

    def _default_options(self) -> dict[str, str]:
        from pyctr_lite.engine.state.paths import DEFAULT_ROOT

        named = {store.OPTIONS["bridge.name"]: DEFAULT_BRIDGE}
        return named if self.paths.root == DEFAULT_ROOT else {}


def mode_id(name: str) -> str:
    """Return the id of a mode, which `network ls` shows. It is the same everywhere: Docker's is not."""
    return sha256(f"pyctr_lite network {name}".encode()).hexdigest()


def _reserved(network: Network, subnet: str) -> list[str]:
    return [address for address in network.reserved.values() if (":" in address) == (":" in subnet)]


def _names(owners: set[str]) -> str:
    return f"disconnect or stop its containers first: {' '.join(sorted(id[:12] for id in owners))}"
