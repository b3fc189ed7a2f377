"""The published ports of a running container: held by sockets of its monitor, led to it by rules."""

from __future__ import annotations

import _socket

from pyctr_lite.errors import Conflict
from pyctr_lite.formats import ports
from pyctr_lite.networks import published, rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.container.container import Container
    from pyctr_lite.engine.life.pump import Pump
    from pyctr_lite.engine.network.settings import NetworkSettings, Ports
    from pyctr_lite.networks import bridge


class PublishedPorts:
    """The ports of this machine that lead to a container."""

    def __init__(self, container: Container, settings: NetworkSettings) -> None:
        self._container, self._settings = container, settings
        self._sockets: list[_socket.socket] = []

    def reserve(self, sockets: bridge.Sockets) -> Ports:
        """Hold the ports that the container's record asks for; return those that it got.

        Raises Conflict if another process or container has a port.
        """
        found: Ports = {}
        default = self._container.home.networks.get(self._settings.main()["NetworkID"]).host_binding
        for name, wanted in self._container.record.ports.items():
            port, _, protocol = name.partition("/")
            for row in wanted or ():
                host = row["HostIp"] or default
                binding = ports.parse_publish(f"{row['HostPort']}:{port}/{protocol}")[0]
                try:
                    sock, number = published.reserve(protocol, host, binding.first, binding.last)
                except Conflict:
                    if rules.is_published(sockets.filter, protocol, host or "0.0.0.0", binding.first):
                        raise self._allocated(host, binding.host_port) from None
                    raise
                hosts = [host] if host else ["0.0.0.0"]
                if sock is not None:
                    self._sockets.append(sock)
                    hosts += ["::"] if not host and sock.family == _socket.AF_INET6 else []
                found.setdefault(name, []).extend({"HostIp": item, "HostPort": str(number)} for item in hosts)
        return found

    def publish(self, sockets: bridge.Sockets) -> None:
        """Lead the ports to the container. Raises Conflict if another engine has published one."""
        main = self._settings.main()
        for protocol, host, port, inner in self._settings.bindings():
            address = main["GlobalIPv6Address" if ":" in host else "IPAddress"]
            if not address:
                continue  # a container without an IPv6 address: `proxy` hands on what comes by IPv6
            try:
                rules.publish(sockets.filter, protocol, host, port, address, inner)
            except FileExistsError:
                raise self._allocated(host, str(port)) from None

    def watch(self, pump: Pump) -> None:
        """Let a pump call the proxy when a connection comes to one of the sockets."""

    def close(self) -> None:
        """Close the sockets."""
        for sock in self._sockets:
            sock.close()
        self._sockets = []

    def _allocated(self, host: str, port: str) -> Conflict:
        shown = f"[{host}]" if ":" in host else host or "0.0.0.0"
        endpoint = self._settings.main()["EndpointID"]
        return Conflict(
            f"driver failed programming external connectivity on endpoint {self._container.name} ({endpoint}): "
            f"Bind for {shown}:{port} failed: port is already allocated",
            "pyctr_lite ps shows the published ports",
        )
