"""The flags that limit resources, which `run`, `create` and `update` share.  [hot]"""

from __future__ import annotations

from pyctr_lite.cli.command.flags import Option
from pyctr_lite.cli.container.options import lazy

OPTIONS = (
    Option("blkio-weight", "int", "Block IO (relative weight), between 10 and 1000, or 0 to disable"),
    Option("cpu-period", "int", "Limit CPU CFS (Completely Fair Scheduler) period, in microseconds"),
    Option("cpu-quota", "int", "Limit CPU CFS (Completely Fair Scheduler) quota, in microseconds"),
    Option("cpu-shares", "int", "CPU shares (relative weight)", short="c"),
    Option("cpus", "cpus", "Number of CPUs"),
    Option("cpuset-cpus", "string", "CPUs in which to allow execution (0-3, 0,1)"),
    Option("cpuset-mems", "string", "MEMs in which to allow execution (0-3, 0,1)"),
    Option("memory", "bytes", "Memory limit", short="m"),
    Option("memory-reservation", "bytes", "Memory soft limit"),
    Option("memory-swap", "memory-swap", "Swap limit equal to memory plus swap: '-1' to enable unlimited swap"),
    Option(
        "network-rate-in",
        "string",
        "Limit what the container receives (1mbit, 500kbps; 0: no limit)",
        convert=lazy("rate"),
    ),
    Option(
        "network-rate-out",
        "string",
        "Limit what the container sends (1mbit, 500kbps; 0: no limit)",
        convert=lazy("rate"),
    ),
    Option("pids-limit", "int", "Tune container pids limit (set -1 for unlimited)"),
)
