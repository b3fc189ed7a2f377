"""Docker's daemon, started for the benchmark and for tests that compare with Docker itself."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
from pathlib import Path

from tests import leaks

_NO_NETWORKS = {
    "bridge": "none",
    **dict.fromkeys(("iptables", "ip6tables", "ip-forward", "ip-masq"), "false"),
}


class DockerDaemon:
    """A private dockerd: its own directories, socket and mount namespace.

    It makes no bridge and no packet filter, except with `networks`: then the caller is in a network namespace made
    for it. `group`: the parent cgroup of its containers, in every hierarchy. `flags` are more flags of dockerd.
    """

    def __init__(self, directory: Path, group: str, *flags: str, networks: bool = False) -> None:
        self.directory, self.socket, self.group = directory, directory / "docker.sock", group
        # The client that came with the daemon; /usr/local may have another one.
        self.client = shutil.which("docker", path=f"/usr/bin:{os.environ.get('PATH', '')}") or "docker"
        directory.mkdir()
        self.log = (directory / "log").open("wb")
        arguments = {
            "data-root": directory / "data",
            "exec-root": directory / "exec",
            "pidfile": directory / "pid",
            "host": f"unix://{self.socket}",
            **({} if networks else _NO_NETWORKS),
            "cgroup-parent": f"/{group}",
            "exec-opt": "native.cgroupdriver=cgroupfs",
            "log-level": "warn",
        }
        self.process = subprocess.Popen(
            ["unshare", "--mount", "dockerd", *(f"--{name}={value}" for name, value in arguments.items()), *flags],
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
        )

    def command(self, *arguments: str) -> list[str]:
        """Return a command line of Docker's client for this daemon."""
        return [self.client, "-H", f"unix://{self.socket}", *arguments]

    def wait(self, seconds: float = 30) -> None:
        """Wait until the daemon answers. Raises RuntimeError with the log's last line if it does not."""
        ended = os.pidfd_open(self.process.pid)
        try:
            for _ in range(int(seconds * 5)):
                if subprocess.run(self.command("version"), capture_output=True).returncode == 0:
                    return
                if select.select([ended], [], [], 0.2)[0]:
                    raise RuntimeError(f"dockerd does not start: {self.last_log_line()}")
        finally:
            os.close(ended)
        raise RuntimeError(f"dockerd does not answer: {self.last_log_line()}")

    def last_log_line(self) -> str:
        """Return the last line of the daemon's log."""
        lines = (self.directory / "log").read_text(errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "its log is empty")

    def processes(self) -> list[int]:
        """Return the pids of dockerd and its containerd, which all containers share."""
        return [self.process.pid, *leaks.children_of(self.process.pid)]

    def clear(self, keep: str) -> None:
        """Remove all containers, all volumes, and all images but `keep`."""
        for listing, removal in (
            (["ps", "-aq"], ["rm", "-f", "-v"]),
            (["volume", "ls", "-q"], ["volume", "rm", "-f"]),
            (["images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"], ["rmi", "-f"]),
        ):
            lines = subprocess.run(self.command(*listing), capture_output=True, text=True, check=True).stdout
            words = [line.split() for line in lines.splitlines()]
            names = [id[0] if "<none>" in name else name for name, *id in words if name != keep]
            if names:
                subprocess.run(self.command(*removal, *names), capture_output=True, check=True)

    def stop(self) -> None:
        """Stop the daemon and its containers, and remove its leftovers."""
        everything = self.processes()
        leaks.end_groups(self.group, only_empty=False)
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            leaks.end(dict.fromkeys(everything, ""))
            self.process.wait()
        self.log.close()
