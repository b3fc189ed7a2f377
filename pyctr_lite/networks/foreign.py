"""Other programs' packet filters: what they would drop of our bridges' traffic, they are told to let pass.

    iptables-nft      FORWARD drops by policy, as with Docker and ufw: two rules for all our bridges
    iptables-legacy   the same, by its own program
    firewalld         the bridge joins the zone "trusted"

`ensure` looks at each start, because a reload of a firewall takes our entries away. Filters that the
administrator wrote for nft(8) are not changed: `doctor` names those that drop.
"""

from __future__ import annotations

from pyctr_lite.networks import iptables, tables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyctr_lite.linux.netlink import Socket


def ensure(sock: Socket, bridge: str) -> None:
    """Let a bridge's traffic pass the filters of other programs. Idempotent. Takes 0.1 ms if there are none.

    Raises PyctrError if a program that is needed is missing or fails.
    """
    found = tables.names(sock)
    for table in iptables.TABLES:
        if table in found:
            iptables.ensure(sock, table, bridge)
    if "inet firewalld" in found:
        from pyctr_lite.networks import firewalld

        firewalld.ensure(sock, bridge)
    for names, program in iptables.LEGACY.items():
        if iptables.legacy_in_use(names):
            iptables.ensure_legacy(program, bridge)


def remove(sock: Socket, bridges: Sequence[str]) -> None:
    """Undo `ensure` for these bridges, and for all whose name begins with pc-. Idempotent."""
    patterns = [iptables.PREFIX, *bridges]
    found = tables.names(sock)
    for table in iptables.TABLES:
        if table in found:
            iptables.remove(sock, table, patterns)
    for bridge in bridges:
        forget(sock, bridge)
    for names, program in iptables.LEGACY.items():
        if iptables.legacy_in_use(names):
            iptables.remove_legacy(program, patterns)


def forget(sock: Socket, bridge: str) -> None:
    """Undo what `ensure` has done for this bridge alone. Idempotent. For a bridge that is about to be removed."""
    found = tables.names(sock)
    if "inet firewalld" in found:
        from pyctr_lite.networks import firewalld

        firewalld.remove(sock, bridge)
    if not bridge.startswith(iptables.PREFIX):
        for table in iptables.TABLES:
            if table in found:
                iptables.remove(sock, table, [bridge])
