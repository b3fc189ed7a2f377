"""NetworkStore that also makes the bridges, emits events, and has the default network.  [hot]

The subnets of a machine are shared by all engines on it, and by its own links. So a subnet is chosen, and the
bridge with it made, under one lock of the machine.
"""

from __future__ import annotations

import fcntl
import os

from pyctr_lite.digest import sha256
from pyctr_lite.engine.events import writer as events
from pyctr_lite.engine.state import lock
from pyctr_lite.errors import Conflict, NotFound, PyctrError
from pyctr_lite.linux.scoped import closing
from pyctr_lite.networks import DEFAULT, bridge, foreign, pool, rules, store
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

    def ensure(self, sockets: bridge.Sockets, network: Network) -> int:
        """Make a network's bridge again if it is gone, as after a reboot, or its rules are. Returns its index.

        Raises Conflict if another link has taken its subnet meanwhile.
        """
        found = bridge.find(sockets, network)
        if found is not None and found.up and rules.are_current(sockets.filter):
            foreign.ensure(sockets.filter, network.bridge)
            return found.index
        with self._locked():
            if found is None:
                self._check_free(sockets, [Subnet(row[0]) for row in network.subnets])
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

        with lock.References(self.paths.containers), self._locked():
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
        with self._locked():
            if owners := self.owners(network):
                raise Conflict(f"network {network.name} has active endpoints", _names(owners))
            with bridge.Sockets() as sockets:
                bridge.remove(sockets, network)

    def remove_orphan(self, name: str) -> None:
        """Remove a bridge whose network is gone, unless it has been used meanwhile. Idempotent."""
        from pyctr_lite.networks import removal

        with self._locked(), bridge.Sockets() as sockets:
            if name in removal.orphans(sockets):
                removal.remove_bridge(sockets, name)

    def hold(self, network: Network) -> closing:
        """Lock a network: it is not removed until the lock is closed. Raises NotFound if it has been."""
        held = self._locked()
        if not self.exists(network.id):
            with held:
                raise NotFound(f"network {network.name} not found", "it has just been removed")
        return held

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
        with self._locked(), bridge.Sockets() as sockets:

            def choose(others: list[Network]) -> Rows:
                taken = [Subnet(row[0]) for other in others for row in other.subnets]
                rows = store.rows(
                    list(given),
                    lambda: _choose(sockets, taken),
                    (lambda: pool.choose_ipv6(taken + bridge.hosts_subnets(sockets))) if ipv6 else None,
                )
                _check_overlap(rows, taken)
                self._check_free(sockets, [Subnet(row[0]) for row in rows])
                return rows

            network = self.create(name, choose, **more)
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

    @staticmethod
    def _check_free(sockets: bridge.Sockets, subnets: list[Subnet]) -> None:
        """Raise Conflict if this machine has an address or a route in one of the subnets."""
        for other in bridge.hosts_subnets(sockets):
            for subnet in subnets:
                if subnet.overlaps(other) and other.prefix:
                    raise Conflict(
                        f"Pool overlaps with other one on this address space: {subnet}",
                        f"this machine has an address or a route in {other}: ip address, ip route",
                    )

    def _default_options(self) -> dict[str, str]:
        from pyctr_lite.engine.state.paths import DEFAULT_ROOT

        named = {store.OPTIONS["bridge.name"]: DEFAULT_BRIDGE}
        return named if self.paths.root == DEFAULT_ROOT else {}

    @staticmethod
    def _locked() -> closing:
        fd = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
        return closing(fd)


def mode_id(name: str) -> str:
    """Return the id of a mode, which `network ls` shows. It is the same everywhere: Docker's is not."""
    return sha256(f"pyctr_lite network {name}".encode()).hexdigest()


def _reserved(network: Network, subnet: str) -> list[str]:
    return [address for address in network.reserved.values() if (":" in address) == (":" in subnet)]


def _choose(sockets: bridge.Sockets, taken: list[Subnet]) -> Subnet:
    """Choose a subnet. If none is free, bridges give theirs back whose state directory has been removed."""
    try:
        return pool.choose(taken + bridge.hosts_subnets(sockets))
    except Conflict:
        from pyctr_lite.networks import removal

        for name in removal.orphans(sockets):
            removal.remove_bridge(sockets, name)
        return pool.choose(taken + bridge.hosts_subnets(sockets))


def _check_overlap(rows: Rows, taken: list[Subnet]) -> None:
    for row in rows:
        for other in taken:
            if Subnet(row[0]).overlaps(other):
                raise Conflict(
                    f"Pool overlaps with other one on this address space: {row[0]}",
                    f"another network has {other}: pyctr_lite network ls",
                )


def _names(owners: set[str]) -> str:
    return f"disconnect or stop its containers first: {' '.join(sorted(id[:12] for id in owners))}"
