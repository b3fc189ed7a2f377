"""Time, cost and memory of programs: from the spawn to the moment they are reaped; PSS."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pyctr_lite import linux
from tests import leaks

_DEVNULL = [
    (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
    (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
    (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0),
]


@dataclass
class Sample:
    """The measurements of one contestant in one scenario, in the scenario's unit (ms or kB)."""

    contestant: str
    values: list[float] = field(default_factory=list)
    failure: str = ""
    note: str = ""

    @property
    def median(self) -> float | None:
        return statistics.median(self.values) if self.values and not self.failure else None

    @property
    def quartiles(self) -> tuple[float, float]:
        """The middle half of the values lies between these two."""
        if len(self.values) < 2:
            return self.values[0], self.values[0]
        first, _, third = statistics.quantiles(self.values, n=4, method="inclusive")
        return first, third


class Failed(RuntimeError):
    """A contestant's program has exited with a code other than 0."""


def spawn(argv: list[str]) -> int:
    """Start a program with /dev/null as its standard streams. Returns its pid.

    posix_spawn(3) does not copy our memory.
    """
    return os.posix_spawn(argv[0], argv, os.environ, file_actions=_DEVNULL)


def finish(pid: int, argv: list[str]) -> None:
    """Wait for one program. Raises Failed unless it exits with 0."""
    _, status = os.waitpid(pid, 0)
    if (code := os.waitstatus_to_exitcode(status)) != 0:
        raise Failed(f"{' '.join(argv)}: exit status {code}")


def one(argv: list[str]) -> float:
    """Return the milliseconds from start to end of one program."""
    began = time.perf_counter()
    finish(spawn(argv), argv)
    return (time.perf_counter() - began) * 1000


def cpu(argv: list[str]) -> float:
    """Return the CPU milliseconds, user and system, of a program and all its descendants."""
    before, after = _cost(argv)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def faults(argv: list[str]) -> float:
    """Return the page faults of a program and all its descendants."""
    before, after = _cost(argv)
    return after.ru_minflt + after.ru_majflt - before.ru_minflt - before.ru_majflt


def _cost(argv: list[str]) -> tuple[resource.struct_rusage, resource.struct_rusage]:
    """Run a program; return the usage of all reaped children before it and after its last descendant.

    This process is a subreaper (`Workplace`), so orphans of the program become its children.
    """
    running, before = leaks.children(), resource.getrusage(resource.RUSAGE_CHILDREN)
    finish(spawn(argv), argv)
    if left := leaks.wait_for_children(known=running, seconds=10):
        raise Failed(f"{' '.join(argv)}: {', '.join(left.values())} is still running")
    return before, resource.getrusage(resource.RUSAGE_CHILDREN)


def system_calls(argv: list[str]) -> float:
    """Return the number of system calls of a program and all its descendants, counted by strace(1)."""
    with tempfile.NamedTemporaryFile() as counts:
        finish(pid := spawn(["/usr/bin/strace", "-fc", "-o", counts.name, *argv]), [f"strace of {pid}", *argv])
        total = Path(counts.name).read_text().splitlines()[-1].split()
    return float(total[3])


@contextmanager
def load(processes: int) -> Iterator[None]:
    """Keep that many CPUs busy while the block runs."""
    busy = [subprocess.Popen([sys.executable, "-ISc", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def in_a_row(commands: list[list[str]]) -> float:
    """Return the milliseconds that programs take, one after the other."""
    began = time.perf_counter()
    for argv in commands:
        finish(spawn(argv), argv)
    return (time.perf_counter() - began) * 1000


def at_a_time(commands: list[list[str]], width: int) -> float:
    """Return the milliseconds that programs take, `width` of them at a time."""
    began = time.perf_counter()
    waiting, running = list(commands), dict[int, list[str]]()
    while waiting or running:
        while waiting and len(running) < width:
            argv = waiting.pop()
            running[spawn(argv)] = argv
        pid, status = os.waitpid(-1, 0)
        argv = running.pop(pid, [])  # any other is an orphan of theirs, reparented to this process
        if argv and (code := os.waitstatus_to_exitcode(status)) != 0:
            raise Failed(f"{' '.join(argv)}: exit status {code}")
    return (time.perf_counter() - began) * 1000


def interleave(measures: Mapping[str, Callable[[], float]], rounds: int, *, warm: bool = True) -> list[Sample]:
    """Measure each contestant once per round, and begin each round with another one.

    A disturbance of the machine then affects all of them alike. A contestant that fails is not measured again, and
    its sample has the reason. With `warm`, an additional first round, not counted, fills the caches.
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
    """Run the block, and the programs that it spawns, in another mount namespace; None is the current one.

    Joining a mount namespace changes the working directory to its root (setns(2)): the old one is set again.
    """
    if fd is None:
        yield
        return
    directory = Path.cwd()
    with linux.closing(os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)) as home:
        linux.setns(fd, linux.CLONE_NEWNS)
        try:
            yield
        finally:
            linux.setns(home, linux.CLONE_NEWNS)
            os.chdir(directory)


def pss(pid: int) -> int:
    """Return the memory of a process in kB, each shared page divided by the number of its users (smaps_rollup)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def ancestors(pid: int) -> list[int]:
    """Return the pids of the processes between this one and another: those that watch a container."""
    found: list[int] = []
    while True:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])
        if pid in (0, 1, os.getpid()):
            return found
        found.append(pid)
