"""Docker's daemon with its own directories, on a given OCI runtime or its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from labs.kit.isolation import scratch
from labs.kit.orchestrators.client import Client
from labs.kit.orchestrators.daemon import Daemon

NEEDS = ("dockerd", "containerd", "docker")


class Dockerd(Client):
    """A running dockerd, whose default runtime is the given one, by its name and its path, or else runc.

    It makes no bridge and no packet filter, except with `networks`: then the caller is in a network namespace made
    for it. `group`: the parent cgroup of its containers, in every hierarchy. `flags` are more flags of dockerd.
    """

    def __init__(
        self,
        directory: Path,
        group: str,
        *flags: str,
        runtime: tuple[str, Path] | None = None,
        networks: bool = False,
    ) -> None:
        self.directory, self.socket, self.group = directory, directory / "docker.sock", group
        directory.mkdir(mode=0o711, exist_ok=True)
        settings: dict[str, Any] = {
            "data-root": str(directory / "data"),
            "exec-root": str(directory / "exec"),
            "pidfile": str(directory / "pid"),
            "hosts": [f"unix://{self.socket}"],
            "cgroup-parent": f"/{group}",
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
            "log-level": "warn",
        }
        if runtime is not None:
            name, path = runtime
            settings |= {"runtimes": {name: {"path": str(path)}}, "default-runtime": name}
        if not networks:
            settings["bridge"] = "none"
            settings |= dict.fromkeys(("iptables", "ip6tables", "ip-forward", "ip-masq"), False)
        scratch.write(directory / "daemon.json", json.dumps(settings, indent=2).encode() + b"\n")
        self.environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "DOCKER_HOST": f"unix://{self.socket}",
            "DOCKER_CONFIG": str(directory / "client"),
        }
        # The client that came with the daemon; /usr/local may have another one.
        self.prefix = [shutil.which("docker", path="/usr/bin:/usr/local/bin") or "docker"]
        # Otherwise each task of a Swarm first asks a registry for its image, and waits until that fails.
        offline = {"DOCKER_SERVICE_PREFER_OFFLINE_IMAGE": "1"}
        config = f"--config-file={directory / 'daemon.json'}"
        self.daemon = Daemon(["dockerd", config, *flags], directory, (group,), **offline)

    def wait(self) -> None:
        """Wait until the daemon answers. Raises RuntimeError if it does not."""
        self.daemon.wait(self.answers)

    def remove_everything(self) -> None:
        """Remove all services, containers and volumes. Images stay."""
        if self("info", "--format", "{{.Swarm.LocalNodeState}}").strip() == "active":
            self("swarm", "leave", "--force")
        for listing, removal in (
            (["ps", "-aq"], ["rm", "-f", "-v"]),
            (["volume", "ls", "-q"], ["volume", "rm", "-f"]),
        ):
            if names := self(*listing).split():
                self(*removal, *names)

    def stop(self) -> None:
        """End the containers and the daemon, and remove its files."""
        self.daemon.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
