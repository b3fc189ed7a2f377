"""The limits of --network-rate-in and --network-rate-out on the links of a container."""

from __future__ import annotations

from pyctr_lite.networks import bridge, guard, link, queue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.network.settings import NetworkSettings
    from pyctr_lite.linux.netlink import Socket


def limit(
    sockets: bridge.Sockets, settings: NetworkSettings, pid: int, received: int | None, sent: int | None
) -> None:
    """Limit what a container receives and sends on each of its networks, in bytes per second.

    0 lifts a limit, None leaves it as it is.
    What it receives is limited at the host's end of its cable, what it sends at its own, and by a guard on the
    host's side, which `disconnect` removes.
    """
    if sent:
        guard.sweep(sockets.filter, {found.name for found in link.links(sockets.route)})
    for endpoint in settings.networks.values():
        end = link.get(sockets.route, endpoint["Link"])
        if received is not None:
            _limit(sockets.route, end, received)
        if sent is None:
            continue
        with bridge.socket_inside(pid) as there:
            _limit(there, link.get(there, endpoint["Interface"]), sent)
        if sent:
            guard.add(sockets.filter, end.name, sent)
            endpoint["Guarded"] = True
        elif endpoint.pop("Guarded", False):
            guard.remove(sockets.filter, end.name)


def _limit(sock: Socket, end: link.Link, rate: int) -> None:
    if rate:
        queue.limit(sock, end.index, rate, mtu=end.mtu)
    else:
        queue.remove(sock, end.index)
