"""Findings about running containers that have lost their monitor or a network. A restart mends both."""

from __future__ import annotations

import os

from pyctr_lite.engine.container import containers
from pyctr_lite.engine.doctor.finding import Finding
from pyctr_lite.engine.network.settings import NetworkSettings
from pyctr_lite.networks import DEFAULT, elements, link, published
from pyctr_lite.runtime import state as runtime_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyctr_lite.engine.container.container import Container
    from pyctr_lite.engine.home import Home
    from pyctr_lite.networks.bridge import Sockets


def monitors(home: Home) -> Iterator[Finding]:
    """Find containers whose monitor was killed, and among them those that had names from its DNS server."""
    if os.geteuid() != 0:
        return
    lost = [container for container in _running(home) if not _has_monitor(container)]
    text = f"running without a monitor, which was killed: {_names(lost)}: no log, health checks, restart policy"
    yield _finding("state", "monitors", lost, text, "every running container has its monitor")
    nameless = [
        container for container in lost if set(NetworkSettings.read(container.runtime).networks) - {DEFAULT}
    ]
    text = f"no DNS server, because it was in the monitor, which was killed: {_names(nameless)}"
    yield _finding("networks", "DNS servers", nameless, text, "every container that needs one has its own")


def cables(home: Home, sockets: Sockets) -> Iterator[Finding]:
    """Find containers that their networks or ports do not reach any more, although they run."""
    if os.geteuid() != 0:
        return
    machine = _Machine(home, sockets)
    problems = {container: machine.problem(container) for container in _running(home)}
    cut_off = [container for container, problem in problems.items() if problem]
    problem = problems[cut_off[0]] if cut_off else ""
    text = f"containers cut off: {_names(cut_off)}: {problem}"
    yield _finding("networks", "cables", cut_off, text, "every running container's networks and ports reach it")


class _Machine:
    """The links and the packet filter of this machine, as they are now."""

    def __init__(self, home: Home, sockets: Sockets) -> None:
        self.links = {found.name: found for found in link.links(sockets.route)}
        self.filtered = elements.bridges(sockets.filter)
        self.published = {port[:3] for port in elements.published(sockets.filter)}
        self.bridges = {network.id: network.bridge for network in home.networks.list()}

    def problem(self, container: Container) -> str:
        """Return what cuts a running container off, or ""."""
        settings = NetworkSettings.read(container.runtime)
        for name, endpoint in settings.networks.items():
            bridge, cable = self.bridges.get(endpoint["NetworkID"], ""), endpoint["Link"]
            if bridge not in self.links:
                return f"the bridge {bridge} of network {name} is gone"
            if cable not in self.links or self.links[cable].master != self.links[bridge].index:
                return f"the cable {cable} is not in the bridge {bridge} of network {name}"
            if bridge not in self.filtered:
                return f"the packet filter does not know the bridge {bridge} any more (nft flush ruleset?)"
        for protocol, host, port, _ in settings.bindings():
            is_led = settings.main()["GlobalIPv6Address" if ":" in host else "IPAddress"]
            if is_led and (protocol, host, port) not in self.published:
                return (
                    f"the packet filter does not know the port {published.shown(host, port)}/{protocol} any more"
                )
        return ""


def _running(home: Home) -> list[Container]:
    return [container for container in containers.read_all(home, all=False)[0] if container.state.Pid]


def _has_monitor(container: Container) -> bool:
    return runtime_state.alive(container.state.MonitorPid, container.state.MonitorStart)


def _names(found: list[Container]) -> str:
    return ", ".join(dict.fromkeys(container.name for container in found))


def _finding(area: str, name: str, found: list[Container], problem: str, well: str) -> Finding:
    fix = f"pyctr_lite restart {_names(found).replace(',', '')}"
    return Finding(area, name, not found, problem if found else well, fix if found else "", needed=False)
