"""Freeze, thaw and kill a whole cgroup atomically: no process can escape by forking.

Uses the files of version 2 whenever that hierarchy is mounted, with or without controllers: its frozen processes
can be killed, and it notifies when all are frozen. In version 1's freezer SIGKILL waits until they are thawed.
"""

from __future__ import annotations

import errno
import os
import select
import time

from pyctr_lite import linux
from pyctr_lite.cgroups import controllers
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import explain, kernelfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctr_lite.cgroups.group import Group

TIMEOUT = 5.0
"""Seconds until all processes must be frozen: a process blocked on a dead network disk never is."""
_REMOVED = (errno.ENOENT, errno.ENODEV)
"""Errors of a file of a group that is removed: before it is opened, or after that."""


def freeze(group: Group) -> None:
    """Freeze all processes of a group, and wait for it. Fails with ETIMEDOUT, after thawing them again."""
    directory = _directory(group)
    try:
        if group.v2:
            kernelfile.write(f"{directory}/cgroup.freeze", "1")
            wait_for_event(directory, "frozen 1", TIMEOUT)
        else:
            kernelfile.write(f"{directory}/freezer.state", "FROZEN")
            _wait(lambda: frozen(group), f"{directory}/freezer.state", TIMEOUT)
    except TimeoutError:
        thaw(group)
        raise


def thaw(group: Group) -> None:
    """Let the processes of a group run again. Signals sent while they were frozen are delivered now.

    Does nothing if the group has just been removed, because its processes have ended.
    """
    directory = _directory(group)
    try:
        if group.v2:
            kernelfile.write(f"{directory}/cgroup.freeze", "0")
        else:
            kernelfile.write(f"{directory}/freezer.state", "THAWED")
    except OSError as error:
        if error.errno not in _REMOVED:
            raise


def frozen(group: Group) -> bool:
    """Return whether all processes of a group are frozen."""
    directory = _directory(group)
    if group.v2:
        return "frozen 1" in kernelfile.read(f"{directory}/cgroup.events").splitlines()
    return kernelfile.read(f"{directory}/freezer.state") == "FROZEN"


def kill(group: Group, signal: int = 9) -> None:
    """Send a signal to every process of a group and of those below it, including those forked meanwhile.

    SIGKILL in version 2 is one write to `cgroup.kill`. Otherwise the processes are frozen while they are
    signalled; processes that cannot be frozen in time are signalled, too, and those that have ended are passed
    over. Afterwards a group that was running runs on, even if a signal cannot be sent. A group that was frozen
    before stays frozen, except for SIGKILL in version 1, where only a thawed process can die.
    Does nothing if the group's directories do not all exist: no process enters before they do. Source: cgroups(7).
    """
    try:
        if group.v2 and signal == 9:
            kernelfile.write(f"{group.v2}/cgroup.kill", "1")
            return
        was_frozen = frozen(group)
        if not was_frozen:
            freeze(group)
    except TimeoutError:
        pass  # a process that cannot be frozen cannot fork either
    except OSError as error:
        if error.errno not in _REMOVED:
            raise
        return
    try:
        for pid in group.pids():
            signal_process(pid, signal)
    finally:
        if not was_frozen or (signal == 9 and not group.v2):
            thaw(group)


def signal_process(pid: int, signal: int) -> None:
    """Send a signal to a process that may have ended."""
    try:
        explain.step(f"kill({pid}, {signal})", os.kill, pid, signal)
    except ProcessLookupError:
        pass


def thaw_all(group: Group) -> None:
    """Thaw a group and those below it, by whichever version's freezer they are frozen. Idempotent."""
    for mount, directory in zip(group.hierarchy.mounts, group.directories, strict=True):
        if mount.version == 2:
            file, text = "cgroup.freeze", "0"
        elif "freezer" in mount.controllers:
            file, text = "freezer.state", "THAWED"
        else:
            continue
        for path in controllers.descendants(directory):
            try:
                kernelfile.write(f"{path}/{file}", text)
            except OSError as error:
                if error.errno not in _REMOVED:
                    raise


def wait_for_event(directory: str, line: str, seconds: float) -> None:
    """Wait until `cgroup.events` of a version 2 group has a line such as "populated 0". Fails with ETIMEDOUT."""
    path = f"{directory}/cgroup.events"
    deadline = time.monotonic() + seconds
    with linux.closing(os.open(path, os.O_RDONLY | os.O_CLOEXEC)) as fd:
        poller = select.poll()
        poller.register(fd, select.POLLPRI)
        while line not in os.pread(fd, 4096, 0).decode().splitlines():
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError(errno.ETIMEDOUT, f"waited {seconds} s for {line!r}", path)
            poller.poll(remaining * 1000)


def _wait(condition: Callable[[], bool], path: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(errno.ETIMEDOUT, f"not frozen after {seconds} s", path)
        time.sleep(0.0005)  # version 1 has no event for this


def _directory(group: Group) -> str:
    directory = group.v2 or group.directory("freezer")
    if directory is None:
        raise InvalidArgument("no cgroup controller freezer", "mount cgroup v2, or the freezer of version 1")
    return directory
