"""Docker's daemon, started for the benchmark and for tests that compare with Docker itself."""

from __future__ import annotations

from labs.kit.orchestrators.dockerd import Dockerd
from tests import leaks


class DockerDaemon(Dockerd):
    """A private dockerd, whose command lines are compared with ours."""

    def command(self, *arguments: str) -> list[str]:
        """Return a command line of Docker's client for this daemon."""
        return [*self.prefix, "-H", f"unix://{self.socket}", *arguments]

    def processes(self) -> list[int]:
        """Return the pids of dockerd and its containerd, which all containers share."""
        pid = self.daemon.process.pid
        return [pid, *leaks.children_of(pid)]

    def clear(self, keep: str) -> None:
        """Remove all containers, all volumes, and all images but `keep`."""
        self.remove_everything()
        lines = self("images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}").splitlines()
        names = [id[0] if "<none>" in name else name for name, *id in map(str.split, lines) if name != keep]
        if names:
            self("rmi", "-f", *names)
