"""Limits as version 1's files: pure functions, a controller each (kernel Documentation/admin-guide/cgroup-v1)."""

from __future__ import annotations

from pyctr_lite.cgroups import check
from pyctr_lite.cgroups import devices as device_rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

    from pyctr_lite.cgroups.limits import Limits

    Files = list[tuple[str, str, str]]


def files(limits: Limits, controllers: Container[str] | None = None) -> Files:
    """What to write for these limits: (controller, file, text), in the order of writing.

    `controllers` keeps those that are in it. Fails with InvalidArgument for limits that contradict themselves.
    """
    return [
        line
        for controller in CONTROLLERS
        if controllers is None or controller in controllers
        for line in of(controller, limits)
    ]


def of(controller: str, limits: Limits) -> Files:
    """The lines of one controller: of the function that has its name in this module now."""
    lines: Files = globals()[controller](limits)
    return lines


def cpu(limits: Limits) -> Files:
    """CPU time: a weight against the neighbours, and a hard quota in each period."""
    lines: Files = []
    if limits.cpu_shares is not None:
        lines.append(("cpu", "cpu.shares", str(check.shares(limits.cpu_shares))))
    if limits.cpu_period is not None:
        lines.append(("cpu", "cpu.cfs_period_us", str(limits.cpu_period)))
    if limits.cpu_quota is not None:
        lines.append(("cpu", "cpu.cfs_quota_us", str(limits.cpu_quota)))
    return lines


def cpuset(limits: Limits) -> Files:
    """On which CPUs, and from which memory nodes."""
    lines: Files = []
    if limits.cpuset_cpus:
        lines.append(("cpuset", "cpuset.cpus", limits.cpuset_cpus))
    if limits.cpuset_mems:
        lines.append(("cpuset", "cpuset.mems", limits.cpuset_mems))
    return lines


def memory(limits: Limits) -> Files:
    """Memory, and memory with swap ("memsw"): the kernel takes no memsw that is lower than the memory limit.

    So a new limit is written memory first. `raised` turns the two round for a group that has lower ones.
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
    """The same lines with memory.memsw before memory: for a group whose limits are raised."""
    first = [line for line in lines if line[1] == "memory.memsw.limit_in_bytes"]
    return first + [line for line in lines if line not in first]


def pids(limits: Limits) -> Files:
    """How many processes and threads: fork(2) fails with EAGAIN beyond."""
    return [] if limits.pids is None else [("pids", "pids.max", check.number_or_max(limits.pids))]


def blkio(limits: Limits) -> Files:
    """Disks: a weight (of the bfq scheduler), and bytes and operations per second of each disk."""
    lines: Files = []
    if limits.blkio_weight is not None:
        lines.append(("blkio", "blkio.bfq.weight", str(check.weight(limits.blkio_weight))))
    for name in ("read_bps", "write_bps", "read_iops", "write_iops"):
        for major, minor, rate in getattr(limits, f"device_{name}"):
            lines.append(("blkio", f"blkio.throttle.{name}_device", f"{major}:{minor} {rate}"))
    return lines


def hugetlb(limits: Limits) -> Files:
    """Huge pages: those in use, and those reserved."""
    return [
        ("hugetlb", f"hugetlb.{size}.{kind}limit_in_bytes", str(limit))
        for size, limit in limits.hugepages
        for kind in ("", "rsvd.")
    ]


def devices(limits: Limits) -> Files:
    """Which device nodes may be used: rule after rule."""
    return [
        ("devices", "devices.allow" if allow else "devices.deny", line)
        for allow, line in device_rules.lines(limits.devices)
    ]


CONTROLLERS = ("cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "devices")
"""Each has a function of its name here."""
