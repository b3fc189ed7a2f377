"""Checks of limits, and of what is left when a container ends in one of its ways."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from labs.kit.capstone.check import BASE, check, nothing_left, ok, one_line, sh
from labs.kit.capstone.running import SECONDS
from labs.kit.capstone.world import group_path
from labs.kit.checks.arena import SLOWNESS
from labs.kit.checks.expect import expect

if TYPE_CHECKING:
    from labs.kit.capstone.world import World


EARLY_SIGNALS = 6
"""On a busy machine one in three may come too late to find out a program that is not ready for it."""


@check("-m: memory has a limit, exactly, and what exceeds it dies")
def memory_limit(world: World) -> None:
    wanted = 32 << 20
    running = world.start("-m", str(wanted), BASE, "--", "sleep", "1000")
    pid = running.command("sleep", "1000")
    of_its_own_group(world, pid, "memory")
    found = world.limit(pid, "memory", "memory.max", "memory.limit_in_bytes")
    expect(found == str(wanted), f"with -m {wanted} the limit of COMMAND's group is {found}: which file sets it?")
    grow = 'BEGIN { s = "0123456789abcdef"; while (length(s) < 400000000) s = s s; print length(s) }'
    done = world.run("-m", str(wanted), BASE, "--", "awk", grow)
    expect(
        done.status == 137,
        f"COMMAND asked for 400 MB under a limit of 32 MiB and should have been killed (137): {done.describe()}. "
        "May it use swap beyond the limit?",
    )


@check("-p: so many processes, and no more")
def pids_limit(world: World) -> None:
    running = world.start("-p", "10", BASE, "--", "sleep", "1000")
    pid = running.command("sleep", "1000")
    of_its_own_group(world, pid, "pids")
    found = world.limit(pid, "pids", "pids.max", "pids.max")
    expect(found == "10", f"with -p 10 the limit of COMMAND's group is {found}: which file sets it?")
    script = "i=0; while [ $i -lt 30 ]; do sleep 1000 & echo $!; i=$((i+1)); done"
    started = len(world.run("-p", "10", *sh(script)).output.split())
    expect(
        started == 9,
        f"with -p 10 the shell, which is the first process, started {started} more, and 9 are allowed: who else "
        "is in the group, or who is not?",
    )


@check("both limits hold before COMMAND's first instruction")
def limits_from_the_start(world: World) -> None:
    for _ in range(3):
        running = world.start("-m", str(64 << 20), "-p", "20", BASE, "--", "cat", "/proc/self/cgroup")
        running.wait_until(running.others)
        if running.process.poll() is None:
            os.kill(running.pid, signal.SIGSTOP)  # the parent is slow: does COMMAND wait for it?
            running.wait_until(running.has_written, 0.2 * SLOWNESS)
            os.kill(running.pid, signal.SIGCONT)
        groups = ok(running.finish(), "`cat /proc/self/cgroup`")
        for controller in ("memory", "pids"):
            group = group_path(groups, controller) or group_path(groups, "")
            expect(
                group not in ("", "/", "/session"),
                f"COMMAND began in the caller's group {group} for {controller}, and was moved later: what may it "
                "do until then? Who has to wait for whom?",
            )


@check("after it has ended nothing is left")
def nothing_after_the_end(world: World) -> None:
    began = time.monotonic()
    words = ["-m", str(64 << 20), "-p", "20", "-v", "/srv/data:/data"]
    done = world.run(*words, *sh("sleep 1000 & sleep 1000 & exit 3"))
    expect(
        done.status == 3 and time.monotonic() - began < SECONDS,
        f"COMMAND left two processes behind and exits with 3: {done.describe()}. What happens to them "
        "when PID 1 ends?",
    )
    nothing_left(world, "after the program has ended")


@check("SIGTERM ends the container, and nothing is left: 143")
def terminated(world: World) -> None:
    running = world.start("-m", str(64 << 20), "-v", "/srv/data:/data", BASE, "--", "sleep", "1000")
    running.command("sleep", "1000")
    os.kill(running.pid, signal.SIGTERM)
    done = running.finish()
    expect(
        done.status == 143,
        f"the program was sent SIGTERM and should exit with 143: {done.describe()}. Which process has the signal, "
        "and what does PID 1 of a namespace do with one that it does not handle?",
    )
    nothing_left(world, "after SIGTERM")
    for _ in range(EARLY_SIGNALS):
        terminated_early(world)


def terminated_early(world: World) -> None:
    """Send SIGTERM as soon as the program has made anything."""
    running = world.start("-m", str(64 << 20), BASE, "--", "sleep", "1000")
    running.wait_until(lambda: running.others() or any(world.path("/tmp").iterdir()))
    os.kill(running.pid, signal.SIGTERM)
    done = running.finish()
    expect(
        done.status == 143,
        f"SIGTERM came before COMMAND, when the first directory or process was made, and the program was to "
        f"exit with 143: {done.describe()}. From which of your lines on may it come?",
    )
    nothing_left(world, "after SIGTERM before COMMAND runs")


@check("a mistake of the caller's: one line, 125, and nothing is left")
def usage(world: World) -> None:
    command = ["--", "true"]
    for about, words in (
        ("a layer that does not exist", ["/srv/nosuch", *command]),
        ("a volume's source that does not exist", ["-v", "/srv/nosuch:/data", BASE, *command]),
        ("a limit that is no number", ["-m", "much", BASE, *command]),
        ("a limit that only looks like a number", ["-m", "\xb2", BASE, *command]),
        ("a volume without DST", ["-v", "/srv/data", BASE, *command]),
        ("no COMMAND", [BASE]),
        ("no LAYER", command),
        ("an unknown option", ["-x", BASE, *command]),
    ):
        done = world.run(*words)
        expect(
            done.status == 125,
            f"{about}, `run {' '.join(words)}`, was to exit with 125: {done.describe()}. Who looks before "
            "anything is made?",
        )
        one_line(done, f"about {about}")
        nothing_left(world, f"after `run {' '.join(words)}`")


@check("two at once do not meet")
def two_at_once(world: World) -> None:
    first = world.start("-p", "20", *sh("echo 1 > /mine; cat; cat /mine"))
    one = first.command("cat")
    second = world.start("-p", "20", *sh("echo 2 > /mine; sleep 1000"))
    other = second.command("sleep", "1000")
    expect(
        world.group_of(one, "pids") != world.group_of(other, "pids"),
        f"two containers are in one group, {world.group_of(one, 'pids')}: what happens when the first "
        "is cleaned up?",
    )
    os.kill(second.pid, signal.SIGTERM)
    second.finish()
    expect(
        first.process.poll() is None and one in world.processes(),
        "when the second container ended, the first did too: whose group or directory was cleaned up?",
    )
    done = first.finish(b"a\n")
    expect(done.output == "a\n1\n", f"the first container reads {done.output!r}, and should read 'a\\n1\\n': why?")
    nothing_left(world, "after two containers at once")


def of_its_own_group(world: World, pid: int, controller: str) -> None:
    """Expect that COMMAND is in a group that was made for it."""
    group = world.group_of(pid, controller)
    expect(
        not group.endswith("/session"),
        f"COMMAND is in the caller's own {controller} group: how does a process get into another one?",
    )
