"""The runtime's log: an engine reads the reason of a failure from the file that it names with `--log`.

A line each, in the formats of runc (logrus): text, or JSON with "level", "msg" and "time".
"""

from __future__ import annotations

import os
import time

from pyctr_lite import jsonfile
from pyctr_lite.errors import UsageError


class Log:
    """The log of one command. Without a file it is stderr."""

    __slots__ = ("_fd", "_json", "debugs", "path")

    def __init__(self, path: str, format: str, *, debug: bool) -> None:
        """Open the log; its file is made even if nothing is ever written. Raises UsageError or OSError."""
        if format not in ("text", "json"):
            raise UsageError(f"--log-format {format}: must be text or json")
        self.path, self._json, self.debugs = path, format == "json", debug
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(path, flags, 0o644) if path else 2

    def error(self, message: str) -> None:
        """Write why the command failed; to stderr, too, for a person."""
        if self.path or not self._json:
            os.write(2, f"{message}\n".encode(errors="surrogateescape"))
        if self.path or self._json:
            self._write("error", message)

    def warning(self, message: str) -> None:
        """Write a warning."""
        self._write("warning", message)

    def debug(self, message: str) -> None:
        """Write a step, with `--debug` only."""
        if self.debugs:
            self._write("debug", message)

    def _write(self, level: str, message: str) -> None:
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        if self._json:
            line = jsonfile.dumps({"level": level, "msg": message, "time": moment})
        else:
            line = f'time="{moment}" level={level} msg={jsonfile.dumps(message)}'
        os.write(self._fd, f"{line}\n".encode(errors="surrogateescape"))
