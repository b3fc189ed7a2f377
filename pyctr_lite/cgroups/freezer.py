"""Stop, let go and kill a whole group at once, so that none of its processes can escape by forking.

Version 2's own files are used wherever that hierarchy is mounted, with controllers or without: its frozen
processes can be killed, and it tells when they stand. In version 1's freezer SIGKILL waits until they are thawed.
"""

from __future__ import annotations

import errno
import os
import select
import time

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import explain, kernelfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctr_lite.cgroups.group import Group

SECONDS = 5.0
"""How long processes get to stand still: one that waits for a dead network disk never does."""


def freeze(group: Group) -> None:
    """Stop all processes of a group, and wait until they stand. Fails with ETIMEDOUT, thawed, if one does not."""
    directory = _directory(group)
    try:
        if group.v2:
            kernelfile.write(f"{directory}/cgroup.freeze", "1")
            wait_for_event(directory, "frozen 1", SECONDS)
        else:
            kernelfile.write(f"{directory}/freezer.state", "FROZEN")
            _wait(lambda: frozen(group), f"{directory}/freezer.state", SECONDS)
    except TimeoutError:
        thaw(group)
        raise


def thaw(group: Group) -> None:
    """Let the processes of a group go on. Signals that came meanwhile are delivered then."""
    directory = _directory(group)
    if group.v2:
        kernelfile.write(f"{directory}/cgroup.freeze", "0")
    else:
        kernelfile.write(f"{directory}/freezer.state", "THAWED")


def frozen(group: Group) -> bool:
    """Whether all processes of a group stand still."""
    directory = _directory(group)
    if group.v2:
        return "frozen 1" in kernelfile.read(f"{directory}/cgroup.events").splitlines()
    return kernelfile.read(f"{directory}/freezer.state") == "FROZEN"


def kill(group: Group, signal: int = 9) -> None:
    """Send a signal to every process of a group, and to those that they fork meanwhile.

    For SIGKILL version 2 has a file of its own, `cgroup.kill`. Otherwise: freeze, signal each, thaw. A group
    that was frozen before stays so, except for SIGKILL in version 1, which only a thawed process obeys.
    One that is half made or half removed has no processes: none enters before all its directories are there.
    """
    try:
        if group.v2 and signal == 9:
            kernelfile.write(f"{group.v2}/cgroup.kill", "1")
            return
        was_frozen = frozen(group)
    except FileNotFoundError:
        return
    if not was_frozen:
        try:
            freeze(group)
        except TimeoutError:
            pass  # one that cannot be stopped cannot fork either
    for pid in group.pids():
        try:
            explain.step(f"kill({pid}, {signal})", os.kill, pid, signal)
        except ProcessLookupError:
            pass
    if not was_frozen or (signal == 9 and not group.v2):
        thaw(group)


def wait_for_event(directory: str, line: str, seconds: float) -> None:
    """Wait until `cgroup.events` of a version 2 group has a line, as "populated 0". Fails with ETIMEDOUT."""
    path = f"{directory}/cgroup.events"
    deadline = time.monotonic() + seconds
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        poller = select.poll()
        poller.register(fd, select.POLLPRI)
        while line not in os.pread(fd, 4096, 0).decode().splitlines():
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError(errno.ETIMEDOUT, f"waited {seconds} s for {line!r}", path)
            poller.poll(remaining * 1000)
    finally:
        os.close(fd)


def _wait(condition: Callable[[], bool], path: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(errno.ETIMEDOUT, f"not frozen after {seconds} s", path)
        time.sleep(0.0005)  # version 1 has no event for it


def _directory(group: Group) -> str:
    directory = group.v2 or group.directory("freezer")
    if directory is None:
        raise InvalidArgument("no cgroup controller freezer", "mount cgroup v2, or version 1's freezer")
    return directory
