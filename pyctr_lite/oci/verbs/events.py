"""`events`: the usage of a container's resources at intervals, and its out-of-memory kills."""

from __future__ import annotations

import os
import select
import time

from pyctr_lite import jsonfile
from pyctr_lite.cgroups import events as cgroup_events
from pyctr_lite.cgroups import oci_stats
from pyctr_lite.errors import UsageError
from pyctr_lite.formats import times
from pyctr_lite.linux.scoped import closing
from pyctr_lite.oci import words
from pyctr_lite.oci.arguments import Option
from pyctr_lite.oci.containers import Container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.oci.arguments import Arguments
    from pyctr_lite.oci.main import Context

SUMMARY = "print the resource usage of a container as JSON, a line each"
WORDS = "ID"
OPTIONS = (
    Option("interval", "time between two lines, such as 500ms (default: 5s)", "TIME"),
    Option("stats", "print one line, and exit"),
)


def act(arguments: Arguments, context: Context) -> int:
    """Print statistics and out-of-memory kills until the container has ended."""
    container = Container.load(context.root, words.one_id(arguments))
    seconds = times.duration(arguments.text("interval", "5s")) / 1e9
    if seconds <= 0:
        raise UsageError("duration interval must be greater than 0")
    container.require("created", "running", "paused")
    group = container.group
    if arguments.on("stats"):
        _print(oci_stats.event("stats", container.id, group))
        return 0
    kills = cgroup_events.OomWatch(group)
    poller, due = select.poll(), time.monotonic()
    with closing(os.pidfd_open(container.pid)) as pidfd:
        poller.register(pidfd, select.POLLIN)
        poller.register(kills.fileno(), select.POLLIN | select.POLLPRI)
        while container.alive():
            if time.monotonic() >= due:
                _print(oci_stats.event("stats", container.id, group))
                due = time.monotonic() + seconds
            poller.poll(max(0, (due - time.monotonic()) * 1000))
            for _ in range(kills.read()):
                _print(oci_stats.event("oom", container.id))
    kills.close()
    return 0


def _print(event: dict[str, Any]) -> None:
    print(jsonfile.dumps(event), flush=True)
