"""How long programs take, from the moment of the spawn to the moment they are reaped, and what they weigh."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pyctr_lite import linux

_DEVNULL = [
    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
    (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
    (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0),
]


@dataclass
class Sample:
    """What was measured of one contestant in one scenario: milliseconds, kB or whatever the scenario says."""

    contestant: str
    values: list[float] = field(default_factory=list)
    failure: str = ""
    note: str = ""

    @property
    def median(self) -> float | None:
        return statistics.median(self.values) if self.values and not self.failure else None


class Failed(RuntimeError):
    """A contestant's program did not end with 0."""


def spawn(argv: list[str]) -> int:
    """Start a program with nothing on its standard streams; its pid. (posix_spawn(3) does not copy our memory.)"""
    return os.posix_spawn(argv[0], argv, os.environ, file_actions=_DEVNULL)


def finish(pid: int, argv: list[str]) -> None:
    """Wait for one program. Fails with Failed unless it ends with 0."""
    _, status = os.waitpid(pid, 0)
    if (code := os.waitstatus_to_exitcode(status)) != 0:
        raise Failed(f"{' '.join(argv)}: exit status {code}")


def one(argv: list[str]) -> float:
    """Milliseconds from start to end of one program."""
    began = time.perf_counter()
    finish(spawn(argv), argv)
    return (time.perf_counter() - began) * 1000


def in_a_row(commands: list[list[str]]) -> float:
    """Milliseconds that programs take, one after the other."""
    began = time.perf_counter()
    for argv in commands:
        finish(spawn(argv), argv)
    return (time.perf_counter() - began) * 1000


def at_a_time(commands: list[list[str]], width: int) -> float:
    """Milliseconds that programs take, `width` of them at any moment."""
    began = time.perf_counter()
    waiting, running = list(commands), dict[int, list[str]]()
    while waiting or running:
        while waiting and len(running) < width:
            argv = waiting.pop()
            running[spawn(argv)] = argv
        pid, status = os.waitpid(-1, 0)
        argv = running.pop(pid, [])  # others are orphans of theirs that came to us
        if argv and (code := os.waitstatus_to_exitcode(status)) != 0:
            raise Failed(f"{' '.join(argv)}: exit status {code}")
    return (time.perf_counter() - began) * 1000


def interleave(measures: Mapping[str, Callable[[], float]], rounds: int, *, warm: bool = True) -> list[Sample]:
    """Let each contestant have its turn in each round, the first one another every time.

    What disturbs the machine then disturbs all of them alike. Who fails is out, with its reason. `warm`: one
    round before, not counted, fills the caches.
    """
    samples = {name: Sample(name) for name in measures}
    for number in range(-1 if warm else 0, rounds):
        names = list(measures)
        turn = number % len(names) if names else 0
        for name in names[turn:] + names[:turn]:
            if not samples[name].failure:
                try:
                    value = measures[name]()
                except (OSError, RuntimeError) as error:
                    samples[name].failure = str(error)
                else:
                    samples[name].values += [value] if number >= 0 else []
    return list(samples.values())


@contextmanager
def mount_namespace(fd: int | None) -> Iterator[None]:
    """Run the block in another mount namespace, so that what it spawns is there; None: where we are."""
    if fd is None:
        yield
        return
    home = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        linux.setns(fd, linux.CLONE_NEWNS)
        try:
            yield
        finally:
            linux.setns(home, linux.CLONE_NEWNS)
    finally:
        os.close(home)


def pss(pid: int) -> int:
    """The memory of a process in kB, shared pages divided by those who share them (smaps_rollup)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def ancestors(pid: int) -> list[int]:
    """The processes between this one and another: what watches over a container."""
    found: list[int] = []
    while True:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])
        if pid in (0, 1, os.getpid()):
            return found
        found.append(pid)
