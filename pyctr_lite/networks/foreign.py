"""Other programs' packet filters: what they would drop of our bridges' traffic, they are told to let pass.  [hot]

    iptables-nft      FORWARD drops by policy, as with Docker and ufw: two rules for all our bridges
    iptables-legacy   the same, by its own program
    firewalld         the bridge joins the zone "trusted"

`ensure` looks at each start, because a reload of a firewall takes our entries away. Filters that the
administrator wrote for nft(8) are not changed: `doctor` names those that drop.
"""

from __future__ import annotations

from pyctr_lite.linux import kernelfile
from pyctr_lite.networks import nft

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.linux.netlink import Socket

IPTABLES = ("ip filter", "ip6 filter")
"""The tables of iptables-nft and ip6tables-nft."""
FIREWALLD = "inet firewalld"
LEGACY = {"/proc/net/ip_tables_names": "iptables-legacy", "/proc/net/ip6_tables_names": "ip6tables-legacy"}
"""The lists of the legacy tables in use, and the programs for them."""


def ensure(sock: Socket, bridge: str) -> None:
    """Let a bridge's traffic pass the filters of other programs. Idempotent. Takes 0.03 ms if there are none.

    Raises PyctrError if a program that is needed is missing or fails.
    """
    found = nft.tables(sock)
    for table in IPTABLES:
        if table in found:
            from pyctr_lite.networks import iptables

            iptables.ensure(sock, table, bridge)
    if FIREWALLD in found:
        from pyctr_lite.networks import firewalld

        firewalld.ensure(sock, bridge)
    for program in legacy_programs():
        from pyctr_lite.networks import iptables

        iptables.ensure_legacy(program, bridge)


def remove(sock: Socket, bridge: str = "") -> None:
    """Take the rules out of iptables' tables: those for a bridge, by default for the prefix pc-. Idempotent."""
    from pyctr_lite.networks import iptables

    found = nft.tables(sock)
    for table in IPTABLES:
        if table in found:
            iptables.remove(sock, table, bridge or iptables.PREFIX)
    for program in legacy_programs():
        iptables.remove_legacy(program, bridge or iptables.PREFIX)


def forget(sock: Socket, bridge: str) -> None:
    """Undo what `ensure` has done for this bridge alone. Idempotent. For a bridge that is about to be removed."""
    if FIREWALLD in nft.tables(sock):
        from pyctr_lite.networks import firewalld

        firewalld.remove(sock, bridge)
    from pyctr_lite.networks import iptables

    if not bridge.startswith(iptables.PREFIX):  # the rules for the prefix are other bridges' as well
        remove(sock, bridge)


def legacy_programs() -> list[str]:
    """Return the programs for the legacy tables "filter" in use: iptables-legacy, ip6tables-legacy."""
    found = []
    for names, program in LEGACY.items():
        try:
            if "filter" in kernelfile.read(names).split():
                found.append(program)
        except FileNotFoundError:
            pass  # this kernel has no legacy tables
    return found
