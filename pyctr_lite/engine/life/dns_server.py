"""The DNS server in the monitor of a container that is connected to a user-defined network."""

from __future__ import annotations

from pyctr_lite.engine.bundle import etc_files
from pyctr_lite.networks import DEFAULT, dns_listener, names, resolver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.container.container import Container
    from pyctr_lite.engine.life.pump import Pump
    from pyctr_lite.engine.network.settings import NetworkSettings


class DnsServer:
    """Answers 127.0.0.11 in the network namespace of a container."""

    def __init__(self, container: Container, settings: NetworkSettings, pid: int) -> None:
        self._container, self._pump = container, None  # type: tuple[Container, Pump | None]
        _, self._servers, single = etc_files.resolv_conf_of(container.record.options, user_defined=True)
        self._names = names.Names([])
        self._listener = dns_listener.listen(pid)
        self._resolver = resolver.Resolver(
            *(self._listener.udp, self._listener.tcp, self._names.addresses, self._names.name_of),
            open_inside=self._listener.open_inside,
            single=single,
            failed=self._report,
        )
        self._reported: set[str] = set()
        self.change(settings)

    def change(self, settings: NetworkSettings) -> None:
        """Answer the names of the container's present networks; send others on unless all are internal."""
        networks = self._container.home.networks
        self._names.networks = [
            (networks.names_directory(endpoint["NetworkID"]), name)
            for name, endpoint in settings.networks.items()
            if name != DEFAULT
        ]
        reaches_out = bool(settings.main())
        self._resolver.servers = [server for server in self._servers if reaches_out or server.inside]

    def watch(self, pump: Pump) -> None:
        """Let a pump call the server whenever there is something to answer."""
        self._pump = pump
        pump.watched[self._resolver.fileno()] = self._resolver.handle

    def _report(self, error: Exception) -> None:
        """Report a bug in the server, or in a learner's part of it, once."""
        from pyctr_lite import learner_frame

        where = learner_frame.describe(learner_frame.frames(error.__traceback__))
        text = f"the DNS server cannot answer: {type(error).__name__}: {error}\n  {where}".rstrip()
        if self._pump is not None and text not in self._reported:
            self._reported.add(text)
            self._pump.report(text)

    def close(self) -> None:
        """Close the server; else its sockets would keep the namespace alive."""
        if self._pump is not None:
            self._pump.watched.pop(self._resolver.fileno(), None)
        self._resolver.close()
        self._listener.close()
