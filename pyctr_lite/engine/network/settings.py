"""The network settings of a running container: network.json in its runtime directory.  [hot]

The file is there from before the first port is published until everything in it has been given back. It has the
keys of Docker's NetworkSettings, and some of ours for each network: `Link`, the name of the host's end of the
container's cable, `Interface`, that of the container's, and `Guarded` if --network-rate-out limits the cable.
"""

from __future__ import annotations

from pyctr_lite import jsonfile
from pyctr_lite.formats import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Ports = dict[str, list[dict[str, str]]]
    """Published ports: {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]}."""


class NetworkSettings:
    """A container's endpoint in each of its networks, by the network's name, and its published ports."""

    __slots__ = ("networks", "ports")

    def __init__(self, networks: dict[str, dict[str, Any]] | None = None, ports: Ports | None = None) -> None:
        self.networks, self.ports = networks or {}, ports or {}

    @classmethod
    def read(cls, directory: str) -> NetworkSettings:
        """Read the settings of a running container from its runtime directory; empty ones without the file."""
        try:
            content = jsonfile.read(f"{directory}/network.json")
        except (FileNotFoundError, NotADirectoryError):
            return cls()
        return cls(content["Networks"], content["Ports"])

    def write(self, directory: str) -> None:
        """Replace the file."""
        jsonfile.write(f"{directory}/network.json", {"Networks": self.networks, "Ports": self.ports})

    def bindings(self) -> list[tuple[str, str, int, int]]:
        """List the published ports: protocol, address of the host, its port, the container's port."""
        found = []
        for name, rows in self.ports.items():
            port, _, protocol = name.partition("/")
            inner = number.whole(port)
            found += [(protocol, row["HostIp"], number.whole(row["HostPort"]), inner) for row in rows]
        return found

    def main(self) -> dict[str, Any]:
        """Return the endpoint through which ports are published: that of the first network with a way out."""
        return next((endpoint for endpoint in self.networks.values() if endpoint["Gateway"]), {})
