"""A daemon in a private mount namespace: started, waited for until it answers, ended with all of its processes."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from labs.kit.isolation import sandbox


class Daemon:
    """A running daemon. Its mounts are private, so that they are gone with its last process. It ends with ours.

    `directory` is for its log, `variables` are added to its environment; `groups` are the names of its containers'
    cgroups, at the top of each hierarchy.
    """

    def __init__(self, args: list[str], directory: Path, groups: tuple[str, ...], **variables: str) -> None:
        self.name, self.log, self.groups = args[0], directory / "log", groups
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "unshare", "--mount", *args],
                env={**os.environ, **variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def wait(self, answers: Callable[[], bool], seconds: float = 30) -> None:
        """Wait until the daemon answers. Raises RuntimeError with the log's last line if it does not."""
        ended = os.pidfd_open(self.process.pid)
        try:
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                if answers():
                    return
                if select.select([ended], [], [], 0.1)[0]:
                    raise RuntimeError(f"{self.name} does not start: {self.last_log_line()}")
        finally:
            os.close(ended)
        raise RuntimeError(f"{self.name} does not answer: {self.last_log_line()}")

    def last_log_line(self) -> str:
        """Return the last line of the daemon's log."""
        lines = self.log.read_text(errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "its log is empty")

    def stop(self, seconds: float = 30) -> None:
        """End the daemon's containers and then the daemon, and remove the cgroups. Idempotent."""
        for group in self.groups:
            sandbox.remove_groups(group)
        self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        for group in self.groups:
            sandbox.remove_groups(group)
