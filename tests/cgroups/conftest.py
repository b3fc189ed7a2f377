"""Fixtures for cgroup tests: a new group, and processes in it."""

from __future__ import annotations

import mmap
import os
import select
import signal
import struct
import time
from typing import TYPE_CHECKING

import pytest

from pyctr_lite.cgroups import group as groups
from pyctr_lite.cgroups import hierarchy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PARENT = f"/pyctr_test_{os.getpid()}"


@pytest.fixture
def group() -> Iterator[groups.Group]:
    """Create a group in all hierarchies of the machine. It is killed and removed after the test."""
    yield from _fresh(hierarchy.detect())


@pytest.fixture(params=[1, 2])
def group_of_version(request: pytest.FixtureRequest) -> Iterator[groups.Group]:
    """Create a group in the hierarchies of version 1 only, then in that of version 2 only."""
    only = hierarchy.detect().only(request.param)
    if not only.mounts or (request.param == 1 and "freezer" not in only.controllers):
        pytest.skip(f"this machine has no cgroups of version {request.param}")
    yield from _fresh(only)


def _fresh(found: hierarchy.Hierarchy) -> Iterator[groups.Group]:
    group = groups.Group(f"{PARENT}/box", found)
    group.create()
    yield group
    if group.exists():
        group.thaw()
        group.kill()
        group.remove()
    groups.Group(PARENT, found).remove()


class Inside:
    """A child in a group (None: in our own) that runs a function and exits with its result."""

    def __init__(self, group: groups.Group | None, function: Callable[[], int | None]) -> None:
        self.pid = os.fork()
        if self.pid == 0:
            status = 99
            try:
                if group is not None:
                    group.enter()
                status = function() or 0
            finally:
                os._exit(status)
        self.pidfd = os.pidfd_open(self.pid)

    def ended(self, seconds: float = 60) -> bool:
        """Wait at most `seconds` for the process to end, and return if it did."""
        return bool(select.select([self.pidfd], [], [], seconds)[0])

    def wait_until_in(self, group: groups.Group) -> None:
        """Wait until the process has entered a group, or one below it."""
        deadline = time.monotonic() + 60
        while self.pid not in group.pids():
            assert time.monotonic() < deadline, "it did not enter the group"
            time.sleep(0.001)

    def kill(self) -> None:
        """Kill the process and wait for its end."""
        os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self) -> int:
        """Wait for the end, and return the exit status, or minus the signal that killed the process."""
        assert self.ended(), "still running"
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def inside() -> Iterator[Callable[..., Inside]]:
    """Start a process in a group: `inside(group, function)`. Leftover processes are killed after the test."""
    started: list[Inside] = []

    def start(group: groups.Group | None, function: Callable[[], int | None]) -> Inside:
        started.append(Inside(group, function))
        return started[-1]

    yield start
    for process in started:
        os.close(process.pidfd)
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


class Counter:
    """A shared number that a process in the group counts up and the test reads."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, 8)

    def count(self) -> None:
        """Count for ever, once per millisecond."""
        for number in range(1, 1 << 60):
            self.memory[:8] = struct.pack("q", number)
            time.sleep(0.001)

    def value(self) -> int:
        return int(struct.unpack("q", self.memory[:8])[0])

    def grows(self, seconds: float = 60) -> bool:
        """Check if the number grows within `seconds`."""
        before, deadline = self.value(), time.monotonic() + seconds
        while self.value() == before and time.monotonic() < deadline:
            time.sleep(0.005)
        return self.value() != before


@pytest.fixture
def counter() -> Counter:
    return Counter()
