"""firewalld: it rejects what an interface in none of its zones sends, so that our bridges must be in one.

The zone is "trusted"; the engine's own table decides what passes. An entry lasts until firewalld reloads or the
machine reboots, and so each start looks whether it is still there. Source: firewalld.dbus(5).
"""

from __future__ import annotations

from pyctr_lite.errors import PyctrError
from pyctr_lite.networks import tables
from pyctr_lite.networks.foreign import FIREWALLD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.linux.dbus import Bus
    from pyctr_lite.linux.netlink import Socket

ZONE = "trusted"
_NAME = "org.fedoraproject.FirewallD1"
_ZONES = (_NAME, "/org/fedoraproject/FirewallD1", f"{_NAME}.zone")


def has(sock: Socket, bridge: str) -> bool:
    """Return whether a bridge is in a zone: firewalld's rules then name it. Takes 0.1 ms, without D-Bus."""
    return tables.mentions(sock, FIREWALLD, bridge)


def ensure(sock: Socket, bridge: str) -> None:
    """Put a bridge into the zone, unless it is in one. Takes 30 ms if it is not.

    Raises NotFound or PyctrError if firewalld does not answer, though its rules are there.
    """
    if not has(sock, bridge):
        with _bus() as bus:
            bus.call(*_ZONES, "addInterface", "ss", ZONE, bridge)


def remove(sock: Socket, bridge: str) -> None:
    """Take a bridge out of the zone. Idempotent."""
    if not has(sock, bridge):
        return
    try:
        with _bus() as bus:
            bus.call(*_ZONES, "removeInterface", "ss", ZONE, bridge)
    except (PyctrError, OSError):
        pass  # firewalld has ended: what it remembers of the bridge has ended with it


def _bus() -> Bus:
    from pyctr_lite.linux import dbus

    return dbus.Bus(
        "firewalld", f"its rules are there: systemctl start firewalld, or nft delete table {FIREWALLD}"
    )
