"""The networks of one life of a container, as its monitor holds them: links, names, ports, DNS server.  [hot]

Without a network, none of the modules behind this one is imported.
"""

from __future__ import annotations

from pyctr_lite.engine.state import record
from pyctr_lite.errors import Conflict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.container.container import Container
    from pyctr_lite.engine.life.dns_server import DnsServer
    from pyctr_lite.engine.life.ports import PublishedPorts
    from pyctr_lite.engine.life.pump import Pump
    from pyctr_lite.engine.network.settings import NetworkSettings
    from pyctr_lite.networks import bridge


class Connections:
    """The links, ports and DNS server of a running container. `close` gives everything back."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self._settings: NetworkSettings | None = None
        self._sockets: bridge.Sockets | None = None
        self._ports: PublishedPorts | None = None
        self._dns: DnsServer | None = None

    def plug(self, pid: int) -> None:
        """Connect the network namespace of the container's first process, which builds its root meanwhile.

        Raises Conflict if an address or a port is taken, NotFound if a network is missing; then the caller must
        call `close`. What a killed monitor has left is given back first.
        """
        try:
            self._plug(pid)
        except Conflict:
            from pyctr_lite.engine.container import containers
            from pyctr_lite.engine.network import lost

            home = self.container.home
            if not lost.repair(home.networks, lambda id: containers.is_idle(home, id)):
                raise
            self.close()
            self._plug(pid)

    def _plug(self, pid: int) -> None:
        container, options = self.container, self.container.record.options
        if not options.networks:
            return
        from pyctr_lite.engine.bundle import etc_files
        from pyctr_lite.engine.network import endpoints
        from pyctr_lite.engine.network.settings import NetworkSettings

        networks = container.home.networks
        settings = self._settings = NetworkSettings()
        sockets = self._open_sockets()
        for number, (name, wanted) in enumerate(options.networks.items()):
            settings.networks[name] = endpoints.connect(
                networks, sockets, container.id, pid, name, wanted, f"eth{number}"
            )
        if options.network_rate_in or options.network_rate_out:
            from pyctr_lite.engine.network import rates

            rates.limit(sockets, settings, pid, options.network_rate_in, options.network_rate_out)
        if container.record.ports and settings.main():
            from pyctr_lite.engine.life import ports

            self._ports = ports.PublishedPorts(container, settings)
            settings.ports = self._ports.reserve(sockets)
        settings.write(container.runtime)
        if self._ports is not None:
            try:
                self._ports.publish(sockets)
            except Conflict:
                endpoints.keep_own_ports(sockets, settings)
                raise
        for name, endpoint in settings.networks.items():
            endpoints.register(networks, container.id, container.name, name, endpoint)
        etc_files.write(container, settings.networks)
        self._start_dns(pid, settings)

    def serve(self, pump: Pump) -> None:
        """Let the monitor's pump serve DNS and published ports, and follow changes of the networks."""
        if self._dns is not None:
            self._dns.watch(pump)
        if self._ports is not None:
            self._ports.watch(pump)
        pump.networks_changed = lambda: self._change(pump)

    def refresh(self) -> None:
        """Read the networks again, for `close`: the last change may have come too late for `_change`."""
        container, options = self.container, self.container.record.options
        if options.networks:
            from pyctr_lite.engine.network.settings import NetworkSettings

            self._settings = NetworkSettings.read(container.runtime)
            if options.networks.keys() - self._settings.networks.keys():
                from pyctr_lite.engine.network import changes

                changes.mend(container.home.networks, container.id, 0, self._settings, options.networks)

    def close(self) -> None:
        """Give everything back. Idempotent."""
        if self._dns is not None:
            self._dns.close()
            self._dns = None
        if self._ports is not None:
            self._ports.close()
            self._ports = None
        if self._settings is not None:
            from pyctr_lite.engine.network import endpoints

            endpoints.release(
                self.container.home.networks, self._open_sockets(), self.container.id, self._settings
            )
            self._settings = None

    def _open_sockets(self) -> bridge.Sockets:
        """Open the netlink sockets, until the monitor exits.

        To close one of nf_tables takes 15 ms if elements have just been deleted, by any process: the kernel waits
        until no packet uses them (nft_rcv_nl_event). At the exit no client waits any more.
        """
        from pyctr_lite.networks import bridge

        if self._sockets is None:
            self._sockets = bridge.Sockets()
        return self._sockets

    def _change(self, pump: Pump) -> None:
        """Follow a `network connect` or `network disconnect`, which another command has carried out."""
        from pyctr_lite.engine.network.settings import NetworkSettings

        self.container.record = record.Record.read(self.container.directory)
        self._settings = settings = NetworkSettings.read(self.container.runtime)
        if self._ports is not None:
            self._ports.change(settings)
        if self._dns is not None:
            self._dns.change(settings)
            return
        self._start_dns(self.container.state.Pid, settings)
        if self._dns is not None:
            self._dns.watch(pump)

    def _start_dns(self, pid: int, settings: NetworkSettings) -> None:
        from pyctr_lite.networks import DEFAULT

        if any(name != DEFAULT for name in settings.networks):
            from pyctr_lite.engine.life import dns_server

            self._dns = dns_server.DnsServer(self.container, settings, pid)
