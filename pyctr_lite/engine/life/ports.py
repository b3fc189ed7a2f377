"""The published ports of a running container: held by sockets of its monitor, led to it by rules."""

from __future__ import annotations

import _socket

from pyctr_lite.engine.life import faults
from pyctr_lite.engine.network import endpoints
from pyctr_lite.errors import Conflict
from pyctr_lite.formats import ports
from pyctr_lite.networks import proxy, published, rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.container.container import Container
    from pyctr_lite.engine.life.pump import Pump
    from pyctr_lite.engine.network.settings import NetworkSettings, Ports
    from pyctr_lite.networks import bridge

_MANY, _MAX_DESCRIPTORS = 500, 1 << 17


class PublishedPorts:
    """The ports of this machine that lead to a container."""

    def __init__(self, container: Container, settings: NetworkSettings) -> None:
        self._container, self._settings = container, settings
        self._targets: list[proxy.Target] = []
        self._proxy: proxy.Proxy | None = None
        self._pump: Pump | None = None
        self._old_limit: tuple[int, int] | None = None

    def reserve(self, sockets: bridge.Sockets) -> Ports:
        """Hold the ports that the container's record asks for; return those that it got.

        Raises Conflict if another process or container has a port.
        """
        found: Ports = {}
        self._raise_limit(sum(len(rows or ()) for rows in self._container.record.ports.values()))
        main = self._settings.main()
        default = self._container.home.networks.get(main["NetworkID"]).host_binding
        for name, wanted in self._container.record.ports.items():
            port, _, protocol = name.partition("/")
            for row in wanted or ():
                host = row["HostIp"] or default
                binding = ports.parse_publish(f"{row['HostPort']}:{port}/{protocol}")[0]
                try:
                    sock, number = published.reserve(protocol, host, binding.first, binding.last)
                except Conflict:
                    where = (protocol, host or "0.0.0.0", binding.first)
                    if rules.is_published(sockets.filter, *where):
                        container = self._container
                        raise endpoints.allocated(
                            container.home.networks, sockets, self._settings, container.name, *where
                        ) from None
                    raise
                hosts = [host] if host else ["0.0.0.0"]
                if sock is not None:
                    self._targets.append((sock, protocol, main["IPAddress"], binding.container_port))
                    hosts += ["::"] if not host and sock.family == _socket.AF_INET6 else []
                found.setdefault(name, []).extend({"HostIp": item, "HostPort": str(number)} for item in hosts)
        self._proxy = proxy.Proxy(self._targets, lambda text: faults.log(self._container, "proxy", text))
        return found

    def change(self, settings: NetworkSettings) -> None:
        """Follow a change of the container's networks, after which another command has led the ports elsewhere."""
        self._settings = settings
        if self._proxy is not None and (address := settings.main().get("IPAddress")):
            self._proxy.lead_to(address)

    def watch(self, pump: Pump) -> None:
        """Let a pump call the proxy when a connection comes to one of the sockets."""
        if self._proxy is not None:
            self._pump = pump
            pump.watched[self._proxy.fileno()] = self._proxy.handle

    def close(self) -> None:
        """End the proxy, and close the sockets."""
        if self._old_limit is not None:
            import resource

            resource.setrlimit(resource.RLIMIT_NOFILE, self._old_limit)  # a restarted container inherits it
        if self._proxy is None:
            for sock, *_ in self._targets:  # not all could be reserved
                sock.close()
            return
        if self._pump is not None:
            self._pump.watched.pop(self._proxy.fileno(), None)
        self._proxy.close()

    def _raise_limit(self, count: int) -> None:
        """Let this process have a descriptor for each port. Most containers publish few: then it has enough."""
        if count < _MANY:
            return
        import resource

        soft, hard = self._old_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, _MAX_DESCRIPTORS)), hard))
