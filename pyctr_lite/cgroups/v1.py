"""Limits as files of version 1: one pure function per controller (kernel Documentation/admin-guide/cgroup-v1)."""

from __future__ import annotations

from pyctr_lite.cgroups import check
from pyctr_lite.cgroups import devices as device_rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

    from pyctr_lite.cgroups.limits import Limits

    Files = list[tuple[str, str, str]]


def files(limits: Limits, controllers: Container[str] | None = None) -> Files:
    """Convert limits to files: a list of (controller, file, text), in the order of writing.

    `controllers` selects controllers, None all. Raises InvalidArgument for contradictory limits.
    """
    return [
        line
        for controller in CONTROLLERS
        if controllers is None or controller in controllers
        for line in of(controller, limits)
    ]


def of(controller: str, limits: Limits) -> Files:
    """Convert the limits of one controller, by the function with its name in this module now."""
    lines: Files = globals()[controller](limits)
    return lines


def cpu(limits: Limits) -> Files:
    """Convert CPU limits: a weight relative to other groups, and a hard quota per period."""
    lines: Files = []
    if limits.cpu_shares is not None:
        lines.append(("cpu", "cpu.shares", str(check.shares(limits.cpu_shares))))
    if limits.cpu_period is not None:
        lines.append(("cpu", "cpu.cfs_period_us", str(limits.cpu_period)))
    if limits.cpu_quota is not None:
        lines.append(("cpu", "cpu.cfs_quota_us", str(limits.cpu_quota)))
    return lines


def cpuset(limits: Limits) -> Files:
    """Convert the allowed CPUs and memory nodes."""
    lines: Files = []
    if limits.cpuset_cpus:
        lines.append(("cpuset", "cpuset.cpus", limits.cpuset_cpus))
    if limits.cpuset_mems:
        lines.append(("cpuset", "cpuset.mems", limits.cpuset_mems))
    return lines


def memory(limits: Limits) -> Files:
    """Convert memory limits to (controller, file, text): memory, and memory plus swap ("memsw").

    The kernel rejects a memsw below the memory limit, so for a new group memory comes first. `raised` reverses the
    two for a group with lower limits. None means not set; 0 does not. If memory is unlimited (-1) and memory_swap
    is not set, memsw becomes unlimited, too. Raises InvalidArgument for contradictory limits.
    """
    check.memory(limits)
    lines: Files = []
    swap = limits.memory_swap
    if limits.memory == -1 and swap is None:
        swap = -1
    if limits.memory is not None:
        lines.append(("memory", "memory.limit_in_bytes", str(limits.memory)))
    if swap is not None:
        lines.append(("memory", "memory.memsw.limit_in_bytes", str(swap)))
    if limits.memory_reservation is not None:
        lines.append(("memory", "memory.soft_limit_in_bytes", str(limits.memory_reservation)))
    if limits.oom_kill_disable:
        lines.append(("memory", "memory.oom_control", "1"))
    return lines


def raised(lines: Files) -> Files:
    """Reorder the files: memory.memsw before memory, for raising the limits of a group."""
    first = [line for line in lines if line[1] == "memory.memsw.limit_in_bytes"]
    return first + [line for line in lines if line not in first]


def pids(limits: Limits) -> Files:
    """Convert the maximum number of processes and threads: beyond it fork(2) fails with EAGAIN."""
    return [] if limits.pids is None else [("pids", "pids.max", check.number_or_max(limits.pids))]


def blkio(limits: Limits) -> Files:
    """Convert disk limits: a weight (of the bfq scheduler), and bytes and operations per second for each disk."""
    lines: Files = []
    if limits.blkio_weight is not None:
        lines.append(("blkio", "blkio.bfq.weight", str(check.weight(limits.blkio_weight))))
    for name in ("read_bps", "write_bps", "read_iops", "write_iops"):
        for major, minor, rate in getattr(limits, f"device_{name}"):
            lines.append(("blkio", f"blkio.throttle.{name}_device", f"{major}:{minor} {rate}"))
    return lines


def hugetlb(limits: Limits) -> Files:
    """Convert the limits on huge pages, in use and reserved."""
    return [
        ("hugetlb", f"hugetlb.{size}.{kind}limit_in_bytes", str(limit))
        for size, limit in limits.hugepages
        for kind in ("", "rsvd.")
    ]


def devices(limits: Limits) -> Files:
    """Convert device rules, in order."""
    return [
        ("devices", "devices.allow" if allow else "devices.deny", line)
        for allow, line in device_rules.lines(limits.devices)
    ]


CONTROLLERS = ("cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "devices")
"""Each has a function with its name in this module."""
