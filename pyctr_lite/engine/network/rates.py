"""The limits of --network-rate-in and --network-rate-out on the links of a container."""

from __future__ import annotations

from pyctr_lite.networks import bridge, guard, link, queue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.network.settings import NetworkSettings


def limit(
    sockets: bridge.Sockets, settings: NetworkSettings, pid: int, received: int | None, sent: int | None
) -> None:
    """Limit what a container receives and sends on each of its networks, in bytes per second (None: no limit).

    What it receives is limited at the host's end of its cable, what it sends at its own, and by a guard on the
    host's side, which `disconnect` removes.
    """
    if sent:
        guard.sweep(sockets.filter, {found.name for found in link.links(sockets.route)})
    for endpoint in settings.networks.values():
        end = link.get(sockets.route, endpoint["Link"])
        if received:
            queue.limit(sockets.route, end.index, received, mtu=end.mtu)
        if sent:
            with bridge.socket_inside(pid) as there:
                queue.limit(there, link.index(there, endpoint["Interface"]), sent, mtu=end.mtu)
            guard.add(sockets.filter, end.name, sent)
            endpoint["Guarded"] = True
