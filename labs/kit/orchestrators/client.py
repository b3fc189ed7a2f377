"""A program on the command line that drives an engine, with the environment that gives it its own directories."""

from __future__ import annotations

import subprocess
from pathlib import Path


class Client:
    """The command line `prefix` in `environment`."""

    prefix: list[str]
    environment: dict[str, str]

    def __call__(self, *args: str | Path) -> str:
        """Run the command and return its output. Raises CalledProcessError if it fails."""
        done = subprocess.run(
            [*self.prefix, *map(str, args)],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    def answers(self) -> bool:
        """Return whether the daemon of the command answers."""
        args = [*self.prefix, "version"]
        return subprocess.run(args, env=self.environment, capture_output=True).returncode == 0
