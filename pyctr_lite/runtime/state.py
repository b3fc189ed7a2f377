"""The runtime's own state of a container: a directory that lives as long as its process may.

`state.json` is the state of the OCI runtime spec (runtime.md) with what tells a pid from its reuse;
`gate` is a FIFO that the created process waits at; `d` and `f` are where binds are made (see filesystem).
"""

from __future__ import annotations

import errno
import os
import stat

from pyctr_lite import jsonfile
from pyctr_lite.linux import kernelfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def make(directory: str) -> None:
    """Make the directory with its gate and its stage. What an earlier life left there is replaced."""
    os.makedirs(directory, 0o711, exist_ok=True)
    os.makedirs(f"{directory}/d", 0o700, exist_ok=True)
    os.close(os.open(f"{directory}/f", os.O_CREAT | os.O_CLOEXEC, 0o600))
    try:
        os.mkfifo(f"{directory}/gate", 0o600)
    except FileExistsError:
        pass


def remove(directory: str) -> None:
    """Remove it; again is fine. It holds files and empty directories only."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return
    for name in names:
        path = f"{directory}/{name}"
        if stat.S_ISDIR(os.lstat(path).st_mode):
            os.rmdir(path)
        else:
            os.unlink(path)
    os.rmdir(directory)


def write(directory: str, state: dict[str, Any]) -> None:
    """Replace state.json."""
    jsonfile.write(f"{directory}/state.json", state)


def read(directory: str) -> dict[str, Any] | None:
    """What state.json says, or None where there is none."""
    try:
        state: dict[str, Any] = jsonfile.read(f"{directory}/state.json")
    except (FileNotFoundError, NotADirectoryError):
        return None
    return state


def wait_at_gate(directory: str) -> int:
    """A descriptor of the gate for the process that is to wait at it."""
    return os.open(f"{directory}/gate", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)


def open_gate(directory: str) -> None:
    """Let the created process go on to its program. Fails with ProcessLookupError where none waits."""
    try:
        gate = os.open(f"{directory}/gate", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENOENT):
            raise ProcessLookupError(errno.ESRCH, "no process waits at the gate", directory) from None
        raise
    try:
        os.write(gate, b"1")
    finally:
        os.close(gate)


def start_time(pid: int) -> int:
    """When a process started, in clock ticks since boot; with its pid it is unique (proc_pid_stat(5)).

    Fails with FileNotFoundError or ProcessLookupError where there is none.
    """
    # The name in parentheses may hold anything, a parenthesis too.
    return int(kernelfile.read(f"/proc/{pid}/stat").rpartition(")")[2].split()[19])


def alive(pid: int, started: int) -> bool:
    """Whether the process that had this pid then still runs; a zombie does not."""
    try:
        fields = kernelfile.read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return int(fields[19]) == started and fields[0] not in ("Z", "X")
