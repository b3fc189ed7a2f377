"""Statistics of a group in the JSON form of runc's `events`, which shims and cAdvisor read.

Source: runc types/events.go. Times are in nanoseconds, sizes in bytes; version 2 is converted as runc does.
"""

from __future__ import annotations

import os

from pyctr_lite.cgroups import stats

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.cgroups.group import Group

UNLIMITED = (1 << 64) - 1
"""The number that runc reports for "max"."""

_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_CPUSET = (
    *("cpu_exclusive", "mem_hardwall", "mem_exclusive", "memory_migrate", "memory_spread_page"),
    *("memory_spread_slab", "memory_pressure", "sched_load_balance", "sched_relax_domain_level"),
)
_BLKIO = {
    "ioServiceBytesRecursive": "io_service_bytes_recursive",
    "ioServicedRecursive": "io_serviced_recursive",
    "ioQueueRecursive": "io_queued_recursive",
    "ioServiceTimeRecursive": "io_service_time_recursive",
    "ioWaitTimeRecursive": "io_wait_time_recursive",
    "ioMergedRecursive": "io_merged_recursive",
    "ioTimeRecursive": "time_recursive",
    "sectorsRecursive": "sectors_recursive",
}
_IO = {"rbytes": (0, "Read"), "wbytes": (0, "Write"), "rios": (1, "Read"), "wios": (1, "Write")}


def event(kind: str, container_id: str, group: Group | None = None) -> dict[str, Any]:
    """Return an event as `events` prints it, one a line: kind "stats" with a group's statistics, or "oom"."""
    result: dict[str, Any] = {"type": kind, "id": container_id}
    return result if group is None else {**result, "data": read(group)}


def read(group: Group) -> dict[str, Any]:
    """Read the statistics of a group. The values of a missing controller are 0 or left out."""
    data: dict[str, Any] = {
        "cpu": _cpu(group),
        "cpuset": {},
        "memory": {},
        "pids": {},
        "blkio": {},
        "hugetlb": {},
        "intel_rdt": {},
        "network_interfaces": None,
    }
    for name, controller, function in (
        ("cpuset", "cpuset", _cpuset),
        ("memory", "memory", _memory),
        ("pids", "pids", _pids),
        ("blkio", "io", _blkio),
        ("hugetlb", "hugetlb", _hugetlb),
    ):
        mount = group.hierarchy.of(controller)
        if mount is not None:
            data[name] = function(mount.mountpoint + group.path, mount.version)
    for name, file in (("cpu", "cpu.pressure"), ("memory", "memory.pressure"), ("blkio", "io.pressure")):
        if group.v2 and (text := stats.read_text(f"{group.v2}/{file}")):
            data[name]["psi"] = parse_pressure(text)
    return data


def _cpu(group: Group) -> dict[str, Any]:
    usage: dict[str, Any] = {"total": 0, "kernel": 0, "user": 0}
    directory = group.directory("cpu") or group.v2
    values = stats.parse_keyed(stats.read_text(f"{directory}/cpu.stat")) if directory else {}
    throttling = {
        "periods": values.get("nr_periods", 0),
        "throttledPeriods": values.get("nr_throttled", 0),
        "throttledTime": values.get("throttled_time", values.get("throttled_usec", 0) * 1000),
    }
    account = group.directory("cpuacct")
    if account is None:
        for name, key in (("total", "usage_usec"), ("kernel", "system_usec"), ("user", "user_usec")):
            usage[name] = values.get(key, 0) * 1000
    elif os.path.isdir(account):
        times = stats.parse_keyed(stats.read_text(f"{account}/cpuacct.stat"))
        rows = [line.split() for line in stats.read_text(f"{account}/cpuacct.usage_all").splitlines()[1:]]
        usage = {
            "total": _value(f"{account}/cpuacct.usage"),
            "percpu": [int(number) for number in stats.read_text(f"{account}/cpuacct.usage_percpu").split()],
            "percpu_kernel": [int(row[2]) for row in rows],
            "percpu_user": [int(row[1]) for row in rows],
            "kernel": times.get("system", 0) * _TICK,
            "user": times.get("user", 0) * _TICK,
        }
    return {"usage": usage, "throttling": throttling}


def _cpuset(directory: str, version: int) -> dict[str, Any]:
    suffix = "" if version == 1 else ".effective"
    result: dict[str, Any] = {
        "cpus": parse_list(stats.read_text(f"{directory}/cpuset.cpus{suffix}")),
        "mems": parse_list(stats.read_text(f"{directory}/cpuset.mems{suffix}")),
    }
    for name in _CPUSET if version == 1 else ():
        result[name] = int(stats.read_text(f"{directory}/cpuset.{name}") or 0)
    return result


def _memory(directory: str, version: int) -> dict[str, Any]:
    raw = stats.parse_keyed(stats.read_text(f"{directory}/memory.stat"))
    if version == 1:
        parts = (("usage", ""), ("swap", "memsw."), ("kernel", "kmem."), ("kernelTCP", "kmem.tcp."))
        entries = {
            name: {
                "limit": _value(f"{directory}/memory.{part}limit_in_bytes"),
                "usage": _value(f"{directory}/memory.{part}usage_in_bytes"),
                "max": _value(f"{directory}/memory.{part}max_usage_in_bytes"),
                "failcnt": _value(f"{directory}/memory.{part}failcnt"),
            }
            for name, part in parts
        }
        return {"cache": raw.get("cache", 0), **entries, "raw": raw}
    usage = {
        "limit": _value(f"{directory}/memory.max"),
        "usage": _value(f"{directory}/memory.current"),
        "max": _value(f"{directory}/memory.peak"),
        "failcnt": stats.parse_keyed(stats.read_text(f"{directory}/memory.events")).get("max", 0),
    }
    # Version 1 counts memory and swap together, and so does this format.
    swap = _value(f"{directory}/memory.swap.max")
    together = UNLIMITED if UNLIMITED in (swap, usage["limit"]) else swap + usage["limit"]
    swapped = {"limit": together, "usage": usage["usage"] + _value(f"{directory}/memory.swap.current")}
    return {"cache": raw.get("file", 0), "usage": usage, "swap": {**swapped, "failcnt": 0}, "raw": raw}


def _pids(directory: str, version: int) -> dict[str, Any]:
    limit = _value(f"{directory}/pids.max")
    return {"current": _value(f"{directory}/pids.current"), "limit": 0 if limit == UNLIMITED else limit}


def _blkio(directory: str, version: int) -> dict[str, Any]:
    if version == 2:
        bytes_, operations = parse_io_stat(stats.read_text(f"{directory}/io.stat"))
        return {"ioServiceBytesRecursive": bytes_, "ioServicedRecursive": operations}
    for scheduler in ("bfq.", "", "throttle."):  # the first that has counted anything, as in runc
        result = {
            name: entries
            for name, file in _BLKIO.items()
            if (entries := parse_blkio(stats.read_text(f"{directory}/blkio.{scheduler}{file}")))
        }
        if result:
            return result
    return {}


def _hugetlb(directory: str, version: int) -> dict[str, Any]:
    result = {}
    for size in page_sizes():
        path = f"{directory}/hugetlb.{size}"
        if not os.path.exists(f"{path}.{'limit_in_bytes' if version == 1 else 'max'}"):
            continue  # the controller is not enabled for the group
        reserved = f"{path}.rsvd" if os.path.exists(f"{path}.rsvd.failcnt") else path
        if version == 1:
            names = (("usage", "usage_in_bytes"), ("max", "max_usage_in_bytes"), ("failcnt", "failcnt"))
            result[size] = {name: _value(f"{reserved}.{file}") for name, file in names}
        else:
            failed = stats.parse_keyed(stats.read_text(f"{path}.events")).get("max", 0)
            result[size] = {"usage": _value(f"{path}.rsvd.current"), "failcnt": failed}
    return result


def page_sizes() -> list[str]:
    """List the sizes of huge pages of this machine, as in the names of files: "2MB", "1GB"."""
    try:
        names = os.listdir("/sys/kernel/mm/hugepages")
    except FileNotFoundError:
        return []
    sizes = sorted(int(name.removeprefix("hugepages-").removesuffix("kB")) for name in names)
    units = ((1 << 20, "GB"), (1 << 10, "MB"), (1, "KB"))
    return [next(f"{size // unit}{letters}" for unit, letters in units if size >= unit) for size in sizes]


def parse_pressure(text: str) -> dict[str, dict[str, float]]:
    """Parse pressure stall information: lines "some avg10=0.00 avg60=0.00 avg300=0.00 total=0" and "full …"."""
    result: dict[str, dict[str, float]] = {}
    for line in text.splitlines():
        kind, *pairs = line.split()
        values = dict(pair.split("=", 1) for pair in pairs)
        result[kind] = {key: int(value) if key == "total" else float(value) for key, value in values.items()}
    return result


def parse_list(text: str) -> list[int]:
    """Parse a list of numbers such as "0-2,4"."""
    numbers: list[int] = []
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def parse_blkio(text: str) -> list[dict[str, Any]]:
    """Parse a file of version 1's blkio: "8:0 Read 1", "8:0 5", and totals, which are left out."""
    entries = []
    for line in text.splitlines():
        device, *rest = line.split()
        if ":" in device and rest:
            major, minor = device.split(":")
            operation = rest[0] if len(rest) == 2 else ""
            entries.append({"major": int(major), "minor": int(minor), "op": operation, "value": int(rest[-1])})
    return entries


def parse_io_stat(text: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Parse version 2's io.stat: the bytes, and the operations, in version 1's form."""
    tables: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
    for line in text.splitlines():
        device, *items = line.split()
        for item in items:
            key, _, value = item.partition("=")
            if key in _IO and ":" in device:
                major, minor = device.split(":")
                table, operation = _IO[key]
                entry = {"major": int(major), "minor": int(minor), "op": operation, "value": int(value)}
                tables[table].append(entry)
    return tables


def _value(path: str) -> int:
    """Read a number; `UNLIMITED` for "max", and 0 if the file does not exist."""
    text = stats.read_text(path)
    return UNLIMITED if text == "max" else int(text or 0)
