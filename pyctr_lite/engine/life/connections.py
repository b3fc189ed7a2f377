"""The networks of one life of a container, as its monitor holds them: links, names, ports, DNS server.  [hot]

Without a network, none of the modules behind this one is imported.
"""

from __future__ import annotations

from pyctr_lite import jsonfile
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
            self._publish(settings)
        else:
            settings.write(container.runtime)
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
        pump.networks_changed = lambda: self._follow(pump)

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
        self._close_ports()
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

    def _publish(self, settings: NetworkSettings) -> None:
        """Reserve the ports of the record, write the settings, and lead the ports to the container.

        Raises Conflict if a port is taken.
        """
        from pyctr_lite.engine.life import ports
        from pyctr_lite.engine.network import endpoints

        sockets = self._open_sockets()
        self._ports = ports.PublishedPorts(self.container, settings)
        settings.ports = self._ports.reserve(sockets)
        settings.write(self.container.runtime)
        try:
            endpoints.publish(self.container.home.networks, sockets, settings, self.container.name)
        except Conflict:
            endpoints.keep_own_ports(sockets, settings)
            raise

    def _close_ports(self) -> None:
        if self._ports is not None:
            self._ports.close()
            self._ports = None

    def _follow(self, pump: Pump) -> bytes:
        """Follow a change of the networks. Return the error as JSON, b"" without one."""
        try:
            self._change(pump)
        except Exception as error:
            from pyctr_lite.runtime import channel

            return jsonfile.dumps(channel.describe_error(error)).encode()
        return b""

    def _change(self, pump: Pump) -> None:
        """Follow a `network connect` or `network disconnect`, which another command has carried out."""
        from pyctr_lite.engine.network.settings import NetworkSettings

        self.container.record = record.Record.read(self.container.directory)
        self._settings = settings = NetworkSettings.read(self.container.runtime)
        self._change_ports(pump, settings)
        if self._dns is not None:
            self._dns.change(settings)
            return
        self._start_dns(self.container.state.Pid, settings)
        if self._dns is not None:
            self._dns.watch(pump)

    def _change_ports(self, pump: Pump, settings: NetworkSettings) -> None:
        """Give the ports back with the last network with a way out, and reserve them with the first one."""
        if not settings.main():
            self._close_ports()
        elif self._ports is not None:
            self._ports.change(settings)
        elif self.container.record.ports:
            try:
                self._publish(settings)
            except BaseException:
                from pyctr_lite.engine.network import endpoints

                self._close_ports()
                endpoints.withdraw_ports(self._open_sockets(), settings)
                settings.ports = {}
                settings.write(self.container.runtime)
                raise
            assert self._ports is not None
            self._ports.watch(pump)

    def _start_dns(self, pid: int, settings: NetworkSettings) -> None:
        from pyctr_lite.networks import DEFAULT

        if any(name != DEFAULT for name in settings.networks):
            from pyctr_lite.engine.life import dns_server

            self._dns = dns_server.DnsServer(self.container, settings, pid)
