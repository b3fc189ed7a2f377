"""The choice of a network's subnets: none overlaps another network's, or an address or a route of this machine.

The caller holds the lock of the machine's networks.
"""

from __future__ import annotations

from pyctr_lite.errors import Conflict
from pyctr_lite.networks import bridge, pool, store
from pyctr_lite.networks.pool import Subnet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.networks.store import Network, Rows

_ANEW = "remove it, or create the network anew with another --subnet"


def choose(sockets: bridge.Sockets, given: Rows, others: list[Network], *, ipv6: bool) -> Rows:
    """Return the rows of a network: those given, and what they lack. Raises InvalidArgument or Conflict."""
    taken = [Subnet(row[0]) for other in others for row in other.subnets]
    rows = store.rows(
        list(given),
        lambda: _choose(sockets, taken),
        (lambda: pool.choose_ipv6(taken + bridge.hosts_subnets(sockets))) if ipv6 else None,
    )
    for row in rows:
        if other := _overlapping(row[0], taken):
            raise _overlap(row[0], f"another network has {other}: pyctr_lite network ls")
        if other := _overlapping(row[0], bridge.hosts_subnets(sockets)):
            raise _overlap(row[0], f"this machine has an address or a route in {other}: ip address, ip route")
    return rows


def renew(sockets: bridge.Sockets, network: Network, others: list[Network], obstacle: str) -> Rows:
    """Return the rows for a network without a bridge: others in place of those that somebody has taken meanwhile.

    Raises Conflict if the user has chosen one of these, or if there is an `obstacle`, which is a hint.
    """
    hosts = bridge.hosts_subnets(sockets)
    kept = []
    for row in network.subnets:
        other = _overlapping(row[0], hosts)
        if other is None:
            kept.append(row)
        elif obstacle or row[0] in network.given:
            hint = _ANEW if row[0] in network.given else obstacle
            raise _overlap(
                row[0], f"this machine has an address or a route in {other} (ip address, ip route): {hint}"
            )
    if len(kept) == len(network.subnets):
        return network.subnets
    return choose(sockets, kept, others, ipv6=network.ipv6)


def _choose(sockets: bridge.Sockets, taken: list[Subnet]) -> Subnet:
    """Choose a subnet. If none is free, bridges give theirs back whose state directory has been removed."""
    try:
        return pool.choose(taken + bridge.hosts_subnets(sockets))
    except Conflict:
        from pyctr_lite.networks import removal

        for name in removal.orphans(sockets):
            removal.remove_bridge(sockets, name)
        return pool.choose(taken + bridge.hosts_subnets(sockets))


def _overlapping(subnet: str, others: list[Subnet]) -> Subnet | None:
    """Return the first of the others that overlaps a subnet. A default route, to everywhere, does not count."""
    own = Subnet(subnet)
    return next((other for other in others if other.prefix and own.overlaps(other)), None)


def _overlap(subnet: str, hint: str) -> Conflict:
    return Conflict(f"Pool overlaps with other one on this address space: {subnet}", hint)
