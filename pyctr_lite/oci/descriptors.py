"""The exchange between a caller and a new process: inherited descriptors, and the answers for the caller.

`--preserve-fds` and LISTEN_FDS go to the process; its pid, pidfd and terminal go to the caller.
"""

from __future__ import annotations

import os

from pyctr_lite.formats import number as numbers
from pyctr_lite.oci import console
from pyctr_lite.oci.arguments import Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.oci.arguments import Arguments
    from pyctr_lite.runtime.launched import Launched

OPTIONS = (
    Option("console-socket", "send the terminal's master to a UNIX socket", "SOCKET"),
    Option("pidfd-socket", "send a pidfd of the process to a UNIX socket", "SOCKET"),
    Option("pid-file", "write the pid of the process to a file", "FILE"),
    Option("preserve-fds", "give the program this many descriptors beyond stderr", "NUMBER"),
)
"""The options of `create`, `run` and `exec` that this module and `console` read."""
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


def answer(launched: Launched, arguments: Arguments) -> None:
    """Send the caller what it has asked for: the terminal's master, a pidfd, the pid. Raises the first error."""
    if path := arguments.text("console-socket"):
        console.send(path, launched.console)
    if path := arguments.text("pidfd-socket"):
        console.send(path, launched.pidfd, name="pidfd")
    if path := arguments.text("pid-file"):
        _write_pid(path, launched.pid)


def _write_pid(path: str, pid: int) -> None:
    """Write a pid, without a newline, under another name first: a reader never sees a part (runc's way)."""
    directory, name = os.path.split(path)
    temporary = os.path.join(directory, f".{name}.{os.getpid()}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)  # never through a link
    try:
        os.write(fd, str(pid).encode())
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    finally:
        os.close(fd)
