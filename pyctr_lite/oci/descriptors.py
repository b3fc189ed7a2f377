"""Descriptors and files that a caller and its container share: `--preserve-fds`, LISTEN_FDS, `--pid-file`."""

from __future__ import annotations

import os

from pyctr_lite.formats import number as numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.oci.arguments import Arguments


_MOST = 1 << 16
"""Descriptors that a program may inherit."""


def preserved(arguments: Arguments, process: dict[str, Any]) -> int:
    """Return how many descriptors from 3 on the program gets: `--preserve-fds`, and those of socket activation.

    With LISTEN_FDS (sd_listen_fds(3)) the program learns of them by its environment: `process` gets LISTEN_FDS and
    LISTEN_PID. A number that is not open is no error (so says crun): whatever the runtime opens under it does not
    survive the exec.
    """
    count = arguments.number("preserve-fds", maximum=_MOST)
    listened = os.getenv("LISTEN_FDS") or ""
    if not numbers.is_whole(listened, _MOST) or not int(listened):
        return count
    process["env"] = [*(process.get("env") or []), f"LISTEN_FDS={listened}", "LISTEN_PID=1"]
    return count + int(listened)


def write_pid(path: str, pid: int) -> None:
    """Write a pid, without a newline, under another name first: a reader never sees a part (runc's way)."""
    directory, name = os.path.split(path)
    temporary = os.path.join(directory, f".{name}.{os.getpid()}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)  # never through a link
    try:
        os.write(fd, str(pid).encode())
    finally:
        os.close(fd)
    os.rename(temporary, path)
