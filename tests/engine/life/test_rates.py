"""--network-rate-in and --network-rate-out: queues at both ends of the cable, and the guard, for one life."""

from __future__ import annotations

from pathlib import Path

from pyctr_lite.engine.container import containers
from pyctr_lite.engine.engine import Engine
from pyctr_lite.engine.network.settings import NetworkSettings
from pyctr_lite.networks import bridge, guard, link, queue
from tests.conftest import Pyctr


def rate(found: queue.Queue | None) -> int:
    return found.rate if found else 0


def test_the_rates_of_a_container_last_as_long_as_it_runs(pyctr: Pyctr, root: Path) -> None:
    rates = ("--network-rate-in", "20mbit", "--network-rate-out", "80kbps")
    pyctr("run", "-d", "--name", "box", *rates, "busybox", "sleep", "60", check=True)
    container = containers.get(Engine(str(root)), "box")
    (endpoint,) = NetworkSettings.read(container.runtime).networks.values()
    with bridge.Sockets() as sockets, bridge.socket_inside(container.state.Pid) as there:
        guard.add(sockets.filter, "pv-killed", 1000)
        assert rate(queue.get(sockets.route, link.index(sockets.route, endpoint["Link"]))) == 2_500_000
        assert rate(queue.get(there, link.index(there, "eth0"))) == 80_000
        assert endpoint["Link"] in guard.names(sockets.filter)
        pyctr("restart", "-t", "0", "box", check=True)
        assert {"pv-killed", endpoint["Link"]}.isdisjoint(guard.names(sockets.filter))
        (endpoint,) = NetworkSettings.read(container.runtime).networks.values()
        assert endpoint["Link"] in guard.names(sockets.filter)
        pyctr("rm", "-f", "box", check=True)
        assert endpoint["Link"] not in guard.names(sockets.filter)
