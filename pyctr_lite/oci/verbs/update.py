"""`update`: change the limits of a running container."""

from __future__ import annotations

import sys

from pyctr_lite import jsonfile
from pyctr_lite.cgroups import limits
from pyctr_lite.errors import InvalidArgument, UsageError
from pyctr_lite.formats import number as numbers
from pyctr_lite.formats import units
from pyctr_lite.oci import words
from pyctr_lite.oci.arguments import Option
from pyctr_lite.oci.containers import Container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.oci.arguments import Arguments
    from pyctr_lite.oci.main import Context

SUMMARY = "change the limits of a container"
WORDS = "ID"
OPTIONS = (
    Option("resources", "a resources object of the OCI spec, in a file; - is stdin", "FILE", "r"),
    Option("blkio-weight", "weight of block I/O, 10 to 1000", "WEIGHT"),
    Option("cpu-period", "CPU period in µs", "NUMBER"),
    Option("cpu-quota", "CPU time per period in µs; -1: no limit", "NUMBER"),
    Option("cpu-burst", "unused CPU time that may be saved up, in µs", "NUMBER"),
    Option("cpu-share", "weight of CPU time, 2 to 262144", "WEIGHT"),
    Option("cpu-rt-period", "period of real-time processes in µs", "NUMBER"),
    Option("cpu-rt-runtime", "CPU time of real-time processes per period in µs", "NUMBER"),
    Option("cpu-idle", "1: run only if nothing else does", "NUMBER"),
    Option("cpuset-cpus", "CPUs, such as 0-2,4", "LIST"),
    Option("cpuset-mems", "memory nodes, such as 0", "LIST"),
    Option("kernel-memory", "accepted and ignored, as the spec says", "BYTES"),
    Option("kernel-memory-tcp", "accepted and ignored, as the spec says", "BYTES"),
    Option("memory", "memory limit in bytes, or such as 64M; -1: no limit", "BYTES"),
    Option("memory-reservation", "memory that is kept longest", "BYTES"),
    Option("memory-swap", "memory plus swap; -1: no limit", "BYTES"),
    Option("pids-limit", "number of tasks; -1: no limit", "NUMBER"),
    Option("l3-cache-schema", "Intel RDT: schema of the L3 cache", "SCHEMA"),
    Option("mem-bw-schema", "Intel RDT: schema of memory bandwidth", "SCHEMA"),
)

_NUMBERS = {
    "blkio-weight": ("blockIO", "weight"),
    "cpu-period": ("cpu", "period"),
    "cpu-quota": ("cpu", "quota"),
    "cpu-burst": ("cpu", "burst"),
    "cpu-share": ("cpu", "shares"),
    "cpu-rt-period": ("cpu", "realtimePeriod"),
    "cpu-rt-runtime": ("cpu", "realtimeRuntime"),
    "cpu-idle": ("cpu", "idle"),
    "pids-limit": ("pids", "limit"),
}
_TEXTS = {"cpuset-cpus": ("cpu", "cpus"), "cpuset-mems": ("cpu", "mems")}
_SIZES = {
    "memory": ("memory", "limit"),
    "memory-reservation": ("memory", "reservation"),
    "memory-swap": ("memory", "swap"),
}


def act(arguments: Arguments, context: Context) -> int:
    """Write the new limits to the container's cgroup, and to its configuration."""
    container = Container.load(context.root, words.one_id(arguments))
    container.require("created", "running", "paused")
    for name in ("l3-cache-schema", "mem-bw-schema"):
        if arguments.text(name):
            raise InvalidArgument(f"--{name}: Intel RDT is not enabled for this container")
    resources = _resources(arguments)
    container.group.apply(limits.Limits.from_oci(resources))
    config = container.config()
    kept = config.setdefault("linux", {}).setdefault("resources", {})
    for part, value in resources.items():
        kept[part] = {**(kept.get(part) or {}), **value} if isinstance(value, dict) else value
    jsonfile.write(f"{container.directory}/config.json", config, 0o600)
    return 0


def _resources(arguments: Arguments) -> dict[str, Any]:
    if path := arguments.text("resources"):
        try:
            given = jsonfile.loads(sys.stdin.read()) if path == "-" else jsonfile.read(path)
        except ValueError as error:
            raise InvalidArgument(f"--resources: {error}") from None
        if not isinstance(given, dict):
            raise InvalidArgument(f"--resources {path}: must be an object")
        return given
    resources: dict[str, Any] = {}
    for table, read in ((_NUMBERS, _number), (_TEXTS, _text), (_SIZES, _size)):
        for option, (part, key) in table.items():
            if arguments.given(option):
                resources.setdefault(part, {})[key] = read(option, arguments.text(option))
    return resources


def _number(option: str, text: str) -> int:
    if not numbers.is_digits(text.removeprefix("-")):
        raise UsageError(f"--{option} {text}: not a whole number")
    return int(text)


def _text(option: str, text: str) -> str:
    return text


def _size(option: str, text: str) -> int:
    return -1 if text == "-1" else units.bytes_size(text)
