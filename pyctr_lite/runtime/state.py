"""The runtime's directory for one container, from its creation to its end; and the identity of a process.

The gate, `exec.fifo`, is a FIFO that the created process waits at until `start`; `d` and `f` are mountpoints on
which binds are prepared (`filesystem`).
"""

from __future__ import annotations

import errno
import os

from pyctr_lite import jsonfile
from pyctr_lite.linux import kernelfile
from pyctr_lite.linux.scoped import closing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


GATE = "exec.fifo"
"""runc's name: its tests permit the waiting process to hold this file, and no other of the runtime's."""


def make(directory: str) -> None:
    """Create the directory with the gate, `d` and `f`. Idempotent: what an earlier run left is used again."""
    _make_directory(directory, 0o711)
    _make_directory(f"{directory}/d", 0o700)
    os.close(os.open(f"{directory}/f", os.O_CREAT | os.O_CLOEXEC, 0o600))
    try:
        os.mkfifo(f"{directory}/{GATE}", 0o600)
    except FileExistsError:
        pass


def _make_directory(path: str, mode: int) -> None:
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        pass
    except FileNotFoundError:
        os.makedirs(path, mode, exist_ok=True)


def remove(directory: str) -> None:
    """Remove the directory, which holds only files and empty directories. Idempotent."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return
    from pyctr_lite.rootfs import walk  # most processes need only the second half of this module

    if "resctrl" in names:
        from pyctr_lite.runtime import resctrl

        resctrl.remove(directory)
    for name in names:
        walk.remove_entry(f"{directory}/{name}")
    os.rmdir(directory)


def wait_at_gate(directory: str) -> int:
    """Open the gate for the process that is to wait at it, and return the descriptor.

    For reading and writing: so a `start` that is killed between its open and its write does not end the wait.
    """
    return os.open(f"{directory}/{GATE}", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)


def open_gate(directory: str, *, once: bool = False) -> None:
    """Let the created process execute its program. Raises ProcessLookupError if no process waits at the gate.

    `once` removes the gate, which nobody can open again then, and returns when the exec, or the end of the
    process, has closed the other end (POLLERR: pipe(7)). Then it raises the error of a process that has failed
    before its exec (`report_through_gate`).
    """
    try:
        gate = os.open(f"{directory}/{GATE}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENOENT):
            raise ProcessLookupError(errno.ESRCH, "no process waits at the gate", directory) from None
        raise
    with closing(gate):
        if once:
            os.unlink(f"{directory}/{GATE}")
        os.write(gate, b"1")
        if once:
            import select

            poller = select.poll()
            poller.register(gate, 0)
            poller.poll()
            _raise_report(gate)


def report_through_gate(gate: int, message: dict[str, Any]) -> None:
    """Leave an error for `start`, which waits at the other end of the gate. Without a gate, stderr gets it."""
    try:
        os.write(gate, jsonfile.dumps(message).encode(errors="backslashreplace"))
    except OSError:
        os.write(2, f"{message['message']}\n".encode(errors="backslashreplace"))


def _raise_report(gate: int) -> None:
    """Raise the error that a process has left in the gate before its end, if any."""
    # What was written stays in the FIFO as long as one end is open: the caller's.
    with closing(os.open(f"/proc/self/fd/{gate}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)) as fd:
        try:
            report = os.read(fd, 65536)
        except BlockingIOError:
            return
    if report.startswith(b"{"):
        from pyctr_lite.runtime import channel

        channel.raise_error(jsonfile.loads(report))


def start_time(pid: int) -> int:
    """Return the start time of a process in clock ticks since boot (proc_pid_stat(5), field 22).

    It distinguishes a process from a later one with the same pid. Raises FileNotFoundError or ProcessLookupError
    if there is no such process.
    """
    # The name in parentheses may contain any character, a parenthesis too.
    return int(kernelfile.read(f"/proc/{pid}/stat").rpartition(")")[2].split()[19])


def alive(pid: int, started: int) -> bool:
    """Return whether a process that started at `started` (`start_time`) still runs; a zombie does not."""
    try:
        fields = kernelfile.read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return int(fields[19]) == started and fields[0] not in ("Z", "X")
