"""Docker's daemon, started by us: for the benchmark, and for the tests that ask Docker itself."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
from pathlib import Path

from tests import leaks


class DockerDaemon:
    """A dockerd of our own: own directories and socket, no bridge, no packet filter, mounts of its own.

    `group` is the cgroup below which its containers are, in every hierarchy.
    """

    def __init__(self, place: Path, group: str) -> None:
        self.place, self.socket, self.group = place, place / "docker.sock", group
        # The client that came with the daemon: there may be another one in /usr/local.
        self.client = shutil.which("docker", path=f"/usr/bin:{os.environ.get('PATH', '')}") or "docker"
        place.mkdir()
        self.log = (place / "log").open("wb")
        arguments = {
            "data-root": place / "data",
            "exec-root": place / "exec",
            "pidfile": place / "pid",
            "host": f"unix://{self.socket}",
            "bridge": "none",
            "iptables": "false",
            "ip6tables": "false",
            "ip-forward": "false",
            "ip-masq": "false",
            "cgroup-parent": f"/{group}",
            "exec-opt": "native.cgroupdriver=cgroupfs",
            "log-level": "warn",
        }
        self.process = subprocess.Popen(
            ["unshare", "--mount", "dockerd", *(f"--{name}={value}" for name, value in arguments.items())],
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
        )

    def command(self, *arguments: str) -> list[str]:
        """The client's words, for this daemon."""
        return [self.client, "-H", f"unix://{self.socket}", *arguments]

    def wait(self, seconds: float = 30) -> None:
        """Until it answers. Fails with RuntimeError and the daemon's last words where it does not."""
        ended = os.pidfd_open(self.process.pid)
        try:
            for _ in range(int(seconds * 5)):
                if subprocess.run(self.command("version"), capture_output=True).returncode == 0:
                    return
                if select.select([ended], [], [], 0.2)[0]:
                    raise RuntimeError(f"dockerd does not start: {self.last_words()}")
        finally:
            os.close(ended)
        raise RuntimeError(f"dockerd does not answer: {self.last_words()}")

    def last_words(self) -> str:
        """The last line of its log."""
        lines = (self.place / "log").read_text(errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "it says nothing")

    def processes(self) -> list[int]:
        """dockerd and its containerd, which all containers share."""
        return [self.process.pid, *leaks.children_of(self.process.pid)]

    def clear(self, besides: str) -> None:
        """Remove all containers, volumes and images but one."""
        for listing, removal in (
            (["ps", "-aq"], ["rm", "-f", "-v"]),
            (["volume", "ls", "-q"], ["volume", "rm", "-f"]),
            (["images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"], ["rmi", "-f"]),
        ):
            lines = subprocess.run(self.command(*listing), capture_output=True, text=True, check=True).stdout
            words = [line.split() for line in lines.splitlines()]
            names = [id[0] if "<none>" in name else name for name, *id in words if name != besides]
            if names:
                subprocess.run(self.command(*removal, *names), capture_output=True, check=True)

    def stop(self) -> None:
        """End it, its containers, and what it left of itself."""
        everything = self.processes()
        leaks.end_groups(self.group, only_empty=False)
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            leaks.end(dict.fromkeys(everything, ""))
            self.process.wait()
        self.log.close()
