"""Limits that few containers set, as files of either version. `Limits.rare` has them in OCI's own form.

Source: OCI runtime-spec config-linux.md; the files: kernel Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst.
"""

from __future__ import annotations

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.linux import kernelfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.cgroups.group import Group
    from pyctr_lite.cgroups.limits import Limits

    Files = list[tuple[str, str, str]]

_NUMBERS = {
    ("cpu", "burst"): ("cpu", "cpu.cfs_burst_us", "cpu.max.burst"),
    ("cpu", "idle"): ("cpu", "cpu.idle", "cpu.idle"),
    ("cpu", "realtimePeriod"): ("cpu", "cpu.rt_period_us", ""),
    ("cpu", "realtimeRuntime"): ("cpu", "cpu.rt_runtime_us", ""),
    ("memory", "kernelTCP"): ("memory", "memory.kmem.tcp.limit_in_bytes", ""),
    ("memory", "swappiness"): ("memory", "memory.swappiness", ""),
    ("blockIO", "leafWeight"): ("blkio", "blkio.leaf_weight", ""),
    ("network", "classID"): ("net_cls", "net_cls.classid", ""),
}
"""Limits that are one number: the controller, the file of version 1, and that of version 2 ("": it has none)."""

_MEANS_UNSET = {
    *(("cpu", "realtimePeriod"), ("cpu", "realtimeRuntime")),
    *(("memory", "kernelTCP"), ("network", "classID")),
}
"""Limits whose 0 is not written, as in runc."""


def files(group: Group, limits: Limits) -> Files:
    """Convert rare limits to a list of (controller, file, text), in the order of writing.

    Raises InvalidArgument if the machine does not have the controller, the controller's version does not have the
    limit, a value is out of range, or `checkBeforeUpdate` refuses a memory limit below the present usage.
    """
    rare = limits.rare
    _check_usage(group, limits)
    lines: Files = []
    for (part, key), (controller, old, new) in _NUMBERS.items():
        value = (rare.get(part) or {}).get(key)
        if value is None or (value == 0 and (part, key) in _MEANS_UNSET):
            continue
        mount = group.hierarchy.of(controller)
        if key == "kernelTCP" and mount is not None and mount.version == 2:
            continue  # a runtime may ignore it
        if key == "swappiness":
            if value == -1:
                continue  # Docker's "not set"
            if not 0 <= value <= 100:
                raise InvalidArgument(f"memory swappiness must be 0 to 100, not {value}")
        file = _file(group, f"{part}.{key}", controller, old, new)
        lines.append((controller, file, str(value)))
    lines += _weights(group, (rare.get("blockIO") or {}).get("weightDevice") or [])
    for item in (rare.get("network") or {}).get("priorities") or []:
        file = _file(group, "network.priorities", "net_prio", "net_prio.ifpriomap", "")
        lines.append(("net_prio", file, f"{item['name']} {item['priority']}"))
    for device, limit in sorted((rare.get("rdma") or {}).items()):
        file = _file(group, "rdma", "rdma", "rdma.max", "rdma.max")
        handles, objects = limit.get("hcaHandles"), limit.get("hcaObjects")
        text = device if handles is None else f"{device} hca_handle={handles}"
        lines.append(("rdma", file, text if objects is None else f"{text} hca_object={objects}"))
    return lines


def completed(group: Group, limits: Limits) -> Limits:
    """Complete limits that only make sense together by what is in force: CPU quota and period, memory and swap.

    Version 2 has quota and period in one file; and a limit of memory plus swap needs a memory limit.
    """
    found = type(limits)(**{name: getattr(limits, name) for name in limits.__slots__})
    cpu, memory = group.hierarchy.of("cpu"), group.hierarchy.of("memory")
    if cpu is not None and cpu.version == 2 and (limits.cpu_quota is None) != (limits.cpu_period is None):
        quota, _, period = _read(f"{group.v2}/cpu.max").partition(" ")
        if limits.cpu_quota is None and quota.isdigit():
            found.cpu_quota = int(quota)
        if limits.cpu_period is None and period:
            found.cpu_period = int(period)
    if limits.memory is None and (limits.memory_swap or -1) > 0 and memory is not None:
        file = "memory.limit_in_bytes" if memory.version == 1 else "memory.max"
        text = _read(f"{memory.mountpoint}{group.path}/{file}")
        if text.isdigit() and int(text) <= (limits.memory_swap or 0):
            found.memory = int(text)
    return found


def _check_usage(group: Group, limits: Limits) -> None:
    """Refuse a memory limit below what the group uses, if `checkBeforeUpdate` asks for it.

    Version 1 refuses such a limit by itself; version 2 would kill processes. Raises InvalidArgument.
    """
    directory = group.directory("memory")
    if not (limits.rare.get("memory") or {}).get("checkBeforeUpdate") or directory is None:
        return
    used = int(_read(f"{directory}/memory.current") or 0)
    for name, limit in (("memory", limits.memory), ("memory plus swap", limits.memory_swap)):
        if limit is not None and 0 <= limit <= used:
            raise InvalidArgument(f"rejecting the {name} limit {limit}: the group uses {used} bytes now")


def _weights(group: Group, items: list[dict[str, Any]]) -> Files:
    """Convert the weights for single disks, which only the bfq scheduler has."""
    lines: Files = []
    for item in items:
        for key, old, new in (
            ("weight", "blkio.bfq.weight_device", "io.bfq.weight"),
            ("leafWeight", "blkio.leaf_weight_device", ""),
        ):
            if value := item.get(key):
                file = _file(group, f"blockIO.weightDevice.{key}", "blkio", old, new)
                lines.append(("blkio", file, f"{item['major']}:{item['minor']} {value}"))
    return lines


def _file(group: Group, name: str, controller: str, old: str, new: str) -> str:
    """Return the file for a limit in the version that has its controller here. Raises InvalidArgument without."""
    mount = group.hierarchy.of("io" if controller == "blkio" else controller)
    if mount is None:
        raise InvalidArgument(
            f"no cgroup controller {controller}: it cannot limit {name}",
            "/proc/cgroups lists those of this kernel; is it mounted below /sys/fs/cgroup?",
        )
    if mount.version == 1:
        return old
    if not new:
        raise InvalidArgument(f"cgroup v2 has no file for {name}", "remove it from linux.resources")
    return new


def _read(path: str) -> str:
    try:
        return kernelfile.read(path)
    except FileNotFoundError:
        return ""
