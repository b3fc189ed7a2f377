"""Remove the engine from this machine's network: bridges, tables, entries in other programs' filters, settings.

Several engines, each with its own state directory, share a machine. A bridge says whose it is: its alias is the
path of its network's directory.
"""

from __future__ import annotations

import os

from pyctr_lite.networks import foreign, forwarding, guard, link, rules
from pyctr_lite.networks.bridge import ALIAS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.networks.bridge import Sockets


def bridges(sockets: Sockets) -> dict[str, str]:
    """Return the bridges of all engines on this machine: name → directory of the network, as it was when made."""
    found = {}
    for bridge in link.links(sockets.route):
        if bridge.kind == "bridge" and bridge.alias.startswith(ALIAS):
            found[bridge.name] = bridge.alias.removeprefix(ALIAS)
    return found


def orphans(sockets: Sockets) -> dict[str, str]:
    """Return the bridges, as `bridges`, that no container uses and whose network does not exist any more.

    An engine records a network before it makes the bridge, and removes the bridge first.
    """
    used = {found.master for found in link.links(sockets.route)}
    return {
        name: directory
        for name, directory in bridges(sockets).items()
        if not os.path.exists(f"{directory}/network.json") and link.index(sockets.route, name) not in used
    }


def remove_bridge(sockets: Sockets, name: str) -> None:
    """Remove a bridge and what refers to it alone. Idempotent."""
    foreign.forget(sockets.filter, name)
    if rules.exist(sockets.filter):
        rules.remove_bridge(sockets.filter, name)
    link.remove(sockets.route, name)


def remove(sockets: Sockets, root: str) -> list[str]:
    """Remove the bridges of the engine with this state directory and, if no other engine has one, all the rest.

    Returns lines that say what stays, and why. Idempotent.
    """
    gone = orphans(sockets)
    rest = bridges(sockets)
    for name, directory in list(rest.items()):
        if name in gone or directory.startswith(f"{root}/"):
            remove_bridge(sockets, name)
            del rest[name]
    if rest:
        return [f"the packet filter: other engines need it, for {', '.join(sorted(rest.values()))}"]
    foreign.remove(sockets.filter)
    others = forwarding.restore(sockets.route, sockets.filter)
    rules.remove(sockets.filter)
    guard.remove_all(sockets.filter)
    return [f"forwarding, which pyctr_lite switched on: {', '.join(others)} may need it"] if others else []
