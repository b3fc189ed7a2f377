"""The optional check: COMMAND has a cable to a bridge, with an address, and can be reached by it."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING

from labs.kit.capstone import program
from labs.kit.capstone.check import BASE, NotTried, check
from labs.kit.checks.arena import SLOWNESS
from labs.kit.checks.expect import equal, expect
from labs.kit.checks.networks import add_bridge, connected, inside, links, listening
from pyctr_lite.linux import netlink
from pyctr_lite.networks import link

if TYPE_CHECKING:
    from labs.kit.capstone.world import World

BRIDGE, GATEWAY, ADDRESS, PREFIX = "br0", "10.99.0.1", "10.99.0.2", 24


@check("optional: -n BRIDGE,ADDRESS/PREFIX, and packets pass", points=0)
def cable(world: World) -> None:
    """Look at both ends, connect from inside, and see what is left at the end."""
    text = world.path(f"/capstone/labs/{program.FILE}").read_text()
    if '"-n"' not in text.replace("'", '"'):
        raise NotTried
    inside(world.keeper, _add_bridge)
    running = world.start("-n", f"{BRIDGE},{ADDRESS}/{PREFIX}", BASE, "--", "sleep", "1000")
    pid = running.command("sleep", "1000")
    theirs, ours = inside(pid, links), inside(world.keeper, links)
    expect(
        set(theirs) == {"lo", "eth0"},
        f"COMMAND has the links {', '.join(theirs)}, and should have lo and eth0: where is the other end born?",
    )
    expect(theirs["eth0"].up, "eth0 in the container is down: who brings it up, and when?")
    ports = [each for each in ours.values() if each.name not in ("lo", BRIDGE)]
    expect(
        len(ports) == 1 and ports[0].up and ports[0].master == ours[BRIDGE].index,
        f"beside the bridge {BRIDGE} there should be one link, up and a port of it; there is "
        f"{', '.join(each.name for each in ports) or 'none'}. Who lays the cable, and to what?",
    )
    number = theirs["eth0"].index
    found = [(address, prefix) for index, address, prefix in inside(pid, _addresses) if index == number]
    equal(
        [each for each in found if ":" not in each[0]],
        [(ADDRESS, PREFIX)],
        "the addresses of eth0. In which namespace is an address given, and when has the cable been laid?",
    )
    with inside(world.keeper, partial(listening, GATEWAY, 8000)) as listener:
        seen = connected(pid, GATEWAY, 8000, listener)
    equal(seen, ADDRESS, f"who connects from the container to {GATEWAY}, the bridge's address ('' is nobody)")
    os.kill(pid, 9)
    running.finish()
    _wait_for_the_end(world)


def _wait_for_the_end(world: World) -> None:
    """The kernel removes a cable a moment after the end of the namespace that had its other end."""
    deadline = time.monotonic() + 3 * SLOWNESS
    while (left := set(inside(world.keeper, links)) - {"lo", BRIDGE}) and time.monotonic() < deadline:
        time.sleep(0.01)
    expect(not left, f"after COMMAND has ended there is still the link {', '.join(left)}: who removes it?")


def _add_bridge() -> None:
    number = add_bridge(BRIDGE)
    with netlink.Socket() as sock:
        link.add_address(sock, number, GATEWAY, PREFIX)


def _addresses() -> list[tuple[int, str, int]]:
    with netlink.Socket() as sock:
        return link.addresses(sock)
