"""The optional check: COMMAND has a cable to a bridge, with an address, and can be reached by it."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

from labs.kit.capstone import program
from labs.kit.capstone.check import BASE, NotTried, check
from labs.kit.checks.arena import SLOWNESS
from labs.kit.checks.expect import equal, expect
from pyctr_lite import linux
from pyctr_lite.linux import netlink
from pyctr_lite.networks import link

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from labs.kit.capstone.world import World

    Result = TypeVar("Result")

BRIDGE, GATEWAY, ADDRESS, PREFIX = "br0", "10.99.0.1", "10.99.0.2", 24


@check("optional: -n BRIDGE,ADDRESS/PREFIX, and packets pass", points=0)
def cable(world: World) -> None:
    """Look at both ends, connect from inside, and see what is left at the end."""
    text = world.path(f"/capstone/labs/{program.FILE}").read_text()
    if '"-n"' not in text.replace("'", '"'):
        raise NotTried
    _inside(world.keeper, _add_bridge)
    running = world.start("-n", f"{BRIDGE},{ADDRESS}/{PREFIX}", BASE, "--", "sleep", "1000")
    pid = running.command("sleep", "1000")
    inside, outside = _inside(pid, _links), _inside(world.keeper, _links)
    expect(
        set(inside) == {"lo", "eth0"},
        f"COMMAND has the links {', '.join(inside)}, and should have lo and eth0: where is the other end born?",
    )
    expect(inside["eth0"].up, "eth0 in the container is down: who brings it up, and when?")
    ports = [each for each in outside.values() if each.name not in ("lo", BRIDGE)]
    expect(
        len(ports) == 1 and ports[0].up and ports[0].master == outside[BRIDGE].index,
        f"beside the bridge {BRIDGE} there should be one link, up and a port of it; there is "
        f"{', '.join(each.name for each in ports) or 'none'}. Who lays the cable, and to what?",
    )
    number = inside["eth0"].index
    found = [(address, prefix) for index, address, prefix in _inside(pid, _addresses) if index == number]
    equal(
        [each for each in found if ":" not in each[0]],
        [(ADDRESS, PREFIX)],
        "the addresses of eth0. In which namespace is an address given, and when has the cable been laid?",
    )
    with _inside(world.keeper, _listen) as listener:
        seen = _connected(pid, listener)
    equal(seen, ADDRESS, f"who connects from the container to {GATEWAY}, the bridge's address ('' is nobody)")
    os.kill(pid, 9)
    running.finish()
    _wait_for_the_end(world)


def _wait_for_the_end(world: World) -> None:
    """The kernel removes a cable a moment after the end of the namespace that had its other end."""
    deadline = time.monotonic() + 3 * SLOWNESS
    while (left := set(_inside(world.keeper, _links)) - {"lo", BRIDGE}) and time.monotonic() < deadline:
        time.sleep(0.01)
    expect(not left, f"after COMMAND has ended there is still the link {', '.join(left)}: who removes it?")


def _inside(pid: int, work: Callable[[], Result]) -> Result:
    """Call a function in the network namespace of a process. Only for a caller with one thread."""
    own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    with linux.closing(own), linux.closing(os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)) as there:
        linux.setns(there, linux.CLONE_NEWNET)
        try:
            return work()
        finally:
            linux.setns(own, linux.CLONE_NEWNET)


def _add_bridge() -> None:
    with netlink.Socket() as sock:
        number = link.add_bridge(sock, BRIDGE, "02:42:0a:63:00:01")
        link.add_address(sock, number, GATEWAY, PREFIX)


def _links() -> dict[str, link.Link]:
    with netlink.Socket() as sock:
        return {each.name: each for each in link.links(sock)}


def _addresses() -> list[tuple[int, str, int]]:
    with netlink.Socket() as sock:
        return link.addresses(sock)


def _listen() -> socket.socket:
    return socket.create_server((GATEWAY, 8000))


def _connected(pid: int, listener: socket.socket) -> str:
    """Connect from a process's namespace: the client's address as the listener sees it, "" if it cannot."""
    listener.settimeout(2 * SLOWNESS)
    try:
        with _inside(pid, lambda: socket.create_connection((GATEWAY, 8000), 2 * SLOWNESS)):
            connection, (peer, _) = listener.accept()
            connection.close()
            return str(peer)
    except OSError:
        return ""
