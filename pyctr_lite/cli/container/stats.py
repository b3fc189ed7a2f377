"""`stats` and `top`."""

from __future__ import annotations

import os
import select
import sys
import time

from pyctr_lite.cli.command import output
from pyctr_lite.cli.command.flags import Command, Option
from pyctr_lite.cli.screen import tables
from pyctr_lite.errors import NotFound, PyctrError
from pyctr_lite.formats import units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.cgroups.stats import Stats
    from pyctr_lite.cli.command.flags import Context
    from pyctr_lite.engine.container.container import Container

_FIELDS = {
    "Container": "CONTAINER",
    "ID": "CONTAINER ID",
    "Name": "NAME",
    "CPUPerc": "CPU %",
    "MemUsage": "MEM USAGE / LIMIT",
    "MemPerc": "MEM %",
    "NetIO": "NET I/O",
    "BlockIO": "BLOCK I/O",
    "PIDs": "PIDS",
}
_SHOWN = ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs")
_INTERVAL = 1.0
"""Seconds between two measurements; the CPU percentage is the share used between them."""
_HOME, _CLEAR_LINE, _CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"


def stats(context: Context) -> int:
    """Show the resource usage of containers, every second until Ctrl-C, or once."""
    flags = context.flags
    listing = tables.Listing(_FIELDS, _SHOWN)
    form = flags.format or ""
    listing.wanted(form)  # report a faulty template before anything is measured
    for reference in flags.arguments:
        context.engine.containers.get(reference)  # an unknown name is an error only at the start
    live = os.isatty(1) and not flags.no_stream
    meter = _Meter(flags.no_trunc)
    if live:
        output.styled(_HOME + _CLEAR_BELOW)
    else:
        found = _containers(context)
        meter.rows(found)  # the first measurement, for the second to be compared with
        if any(container.state.running for _, container in found):
            _pause()
    while True:
        found = _containers(context)
        text = listing.text(meter.rows(found), form)
        if live:
            text = _HOME + text.replace("\n", f"{_CLEAR_LINE}\n") + _CLEAR_BELOW
        output.styled(text)
        sys.stdout.flush()
        if flags.no_stream or (flags.arguments and not found):
            return 0
        _pause()


def _pause() -> None:
    """Wait for the next measurement. This waits for time alone, not for an event."""
    select.select([], [], [], _INTERVAL)


def _containers(context: Context) -> list[tuple[str, Container]]:
    """Return the containers to show, each with the name that the user gave."""
    containers = context.engine.containers
    if not context.flags.arguments:
        return [(item.id[:12], item) for item in containers.list(all=context.flags.all)]
    found = []
    for reference in context.flags.arguments:
        try:
            found.append((reference, containers.get(reference)))
        except NotFound:
            pass  # it has been removed since the start
    return found


class _Meter:
    """Measures containers, and remembers the CPU time of each for its share since the last measurement."""

    def __init__(self, whole_ids: bool) -> None:
        self._whole_ids = whole_ids
        self._before: dict[str, tuple[int, int]] = {}

    def rows(self, containers: list[tuple[str, Container]]) -> list[dict[str, Any]]:
        """Measure containers. Returns one row for each."""
        return [self._row(reference, container) for reference, container in containers]

    def _row(self, reference: str, container: Container) -> dict[str, Any]:
        from pyctr_lite.engine.report import processes

        row = {
            "Container": reference,
            "ID": container.id if self._whole_ids else container.id[:12],
            "Name": container.name,
        }
        try:
            used = processes.stats(container)
        except PyctrError:  # it is not running
            return row | {"CPUPerc": "0.00%", "MemUsage": "0B / 0B", "MemPerc": "0.00%"} | {
                "NetIO": "0B / 0B", "BlockIO": "0B / 0B", "PIDs": "0"
            }  # fmt: skip
        received, sent = processes.network_bytes(container)
        memory = max(0, used.memory_usage - used.memory_inactive_file)
        limit = min(used.memory_limit or sys.maxsize, memory_total())
        return row | {
            "CPUPerc": self._cpu_percent(container.id, used),
            "MemUsage": f"{units.human_bytes(memory)} / {units.human_bytes(limit)}",
            "MemPerc": f"{100 * memory / limit:.2f}%",
            "NetIO": _two_sizes(received, sent),
            "BlockIO": _two_sizes(sum(disk[2] for disk in used.io), sum(disk[3] for disk in used.io)),
            "PIDs": str(used.pids),
        }

    def _cpu_percent(self, id: str, used: Stats) -> str:
        now = time.monotonic_ns()
        before = self._before.get(id)
        self._before[id] = now, used.cpu_usage_ns
        if before is None:
            return "--"
        share = max(0, used.cpu_usage_ns - before[1]) / max(1, now - before[0])
        return f"{100 * share:.2f}%"


def memory_total() -> int:
    """Return the bytes of memory of this machine, which limit a container without a limit of its own."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _two_sizes(first: int, second: int) -> str:
    return f"{units.human_size(first, 3)} / {units.human_size(second, 3)}"


def top(context: Context) -> int:
    """Show a container's processes, with their pids on the host."""
    from pyctr_lite.engine.report import processes

    reference, *options = context.flags.arguments
    container = context.engine.containers.get(reference)
    if options:
        print(_top_by_ps(container, options), end="")
    else:
        print(tables.aligned([processes.TITLES, *processes.top(container)], 20), end="")
    return 0


def _top_by_ps(container: Container, options: list[str]) -> str:
    """Return the lines of the host's `ps OPTIONS` for the container's processes. The options are those of ps.

    As in Docker, `ps` is given the pids: without -e it shows the processes of its own terminal. Some options, such
    as f, cannot be combined with -q.
    """
    import subprocess

    from pyctr_lite.engine.report import processes

    pids = {row[1] for row in processes.top(container)}
    try:
        for selection in ([f"-q{','.join(pids)}"], []):
            done = subprocess.run(["ps", *options, *selection], capture_output=True, text=True, errors="replace")
            if done.returncode == 0:
                break
    except FileNotFoundError:
        raise PyctrError("ps is not installed on this machine", "omit the ps options") from None
    if done.returncode:
        raise PyctrError(f"ps: {done.stderr.strip().splitlines()[0]}" if done.stderr.strip() else "ps failed")
    titles, *lines = done.stdout.splitlines()
    names = titles.split()
    if "PID" not in names:
        raise PyctrError("Couldn't find PID field in ps output", "let ps show it: -o pid,…")
    last = len(names) - 1
    rows = [line.split(None, last) for line in lines]
    return tables.aligned([names, *(row for row in rows if row[names.index("PID")] in pids)], 20)


COMMANDS = {
    "stats": Command(
        "stats",
        "[CONTAINER...]",
        "Display a live stream of container(s) resource usage statistics",
        (
            Option("all", "bool", "Show all containers (default shows just running)", short="a"),
            Option("format", "string", "Format output: 'table', 'table TEMPLATE', 'json' or a Go template"),
            Option("no-stream", "bool", "Disable streaming stats and only pull the first result"),
            Option("no-trunc", "bool", "Do not truncate output"),
        ),
        action=stats,
        aliases=("container stats",),
        example="pyctr_lite stats --no-stream --format 'table {{.Name}}\\t{{.CPUPerc}}\\t{{.MemUsage}}'",
    ),
    "top": Command(
        "top",
        "CONTAINER [ps-OPTION...]",
        "Display the running processes of a container",
        action=top,
        aliases=("container top",),
        example="pyctr_lite top web",
        interspersed=False,
    ),
}
