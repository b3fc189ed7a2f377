"""Limits as files of version 2: one pure function per controller (kernel admin-guide/cgroup-v2.rst)."""

from __future__ import annotations

from pyctr_lite.cgroups import check
from pyctr_lite.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

    from pyctr_lite.cgroups.limits import Limits

    Files = list[tuple[str, str, str]]

DEFAULT_PERIOD = 100_000
"""The kernel's default CPU period in µs."""


def files(limits: Limits, controllers: Container[str] | None = None) -> Files:
    """Convert limits to files: a list of (controller, file, text), in the order of writing.

    `controllers` selects controllers, None all. Raises InvalidArgument for contradictory limits.
    Version 2 does not have a file for device rules: see `device_filter`.
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
    """Convert CPU limits to (controller, file, text): a weight relative to other groups, and a hard quota.

    The quota and its period, in µs, share the file cpu.max, which is written if either of them is set. None means
    not set, and a quota of 0 is a quota. Raises InvalidArgument for shares out of range.
    """
    lines: Files = []
    if limits.cpu_shares is not None:
        lines.append(("cpu", "cpu.weight", str(cpu_weight(limits.cpu_shares))))
    if limits.cpu_quota is not None or limits.cpu_period is not None:
        quota = check.number_or_max(-1 if limits.cpu_quota is None else limits.cpu_quota)
        lines.append(("cpu", "cpu.max", f"{quota} {limits.cpu_period or DEFAULT_PERIOD}"))
    return lines


def cpu_weight(shares: int) -> int:
    """Scale version 1's shares (2 to 262144) linearly to version 2's weight (1 to 10000).

    The default of 1024 shares becomes 39, although the default weight is 100. The OCI spec has no formula; this is
    that of runc and crun in Debian 12 and 13. runc 1.3.2 and crun 1.23 have another one, which keeps the default
    but not the ratio of two groups: 10 ** ((log2(shares) ** 2 + 125 * log2(shares)) / 612 - 7 / 34), rounded up.
    Raises InvalidArgument for shares out of range.
    """
    return 1 + (check.shares(shares) - 2) * 9999 // 262142


def cpuset(limits: Limits) -> Files:
    """Convert the allowed CPUs and memory nodes."""
    lines: Files = []
    if limits.cpuset_cpus:
        lines.append(("cpuset", "cpuset.cpus", limits.cpuset_cpus))
    if limits.cpuset_mems:
        lines.append(("cpuset", "cpuset.mems", limits.cpuset_mems))
    return lines


def memory(limits: Limits) -> Files:
    """Convert memory and swap limits, which are separate here: `Limits.memory_swap` is their sum.

    Swap comes first, or pages reclaimed by a lower memory limit would be swapped out. `memory.oom.group` stays
    unchanged: the kernel kills one process, as in version 1. Raises InvalidArgument for contradictory limits.
    """
    check.memory(limits)
    if limits.oom_kill_disable:
        raise InvalidArgument("cgroup v2 cannot disable the OOM killer", "omit --oom-kill-disable")
    lines: Files = []
    swap = limits.memory_swap
    if swap is None and limits.memory == -1:
        swap = -1
    if swap is not None:
        only_swap = -1 if swap == -1 else swap - (limits.memory or 0)
        lines.append(("memory", "memory.swap.max", check.number_or_max(only_swap)))
    if limits.memory is not None:
        lines.append(("memory", "memory.max", check.number_or_max(limits.memory)))
    if limits.memory_reservation is not None:
        lines.append(("memory", "memory.low", check.number_or_max(limits.memory_reservation)))
    return lines


def pids(limits: Limits) -> Files:
    """Convert the maximum number of processes and threads: beyond it fork(2) fails with EAGAIN."""
    return [] if limits.pids is None else [("pids", "pids.max", check.number_or_max(limits.pids))]


def io(limits: Limits) -> Files:
    """Convert disk limits: a weight, and one line of `io.max` for each disk and rate.

    The weight is for the bfq scheduler. If the group does not have its file, use `io_weight`.
    """
    lines: Files = []
    if limits.blkio_weight is not None:
        lines.append(("io", "io.bfq.weight", str(check.weight(limits.blkio_weight))))
    for name, key in (
        ("read_bps", "rbps"),
        ("write_bps", "wbps"),
        ("read_iops", "riops"),
        ("write_iops", "wiops"),
    ):
        for major, minor, rate in getattr(limits, f"device_{name}"):
            lines.append(("io", "io.max", f"{major}:{minor} {key}={rate or 'max'}"))
    return lines


def io_weight(limits: Limits) -> Files:
    """Convert the block I/O weight (10 to 1000) to `io.weight` (1 to 10000), for a kernel without bfq."""
    if limits.blkio_weight is None:
        return []
    return [("io", "io.weight", str(1 + (check.weight(limits.blkio_weight) - 10) * 9999 // 990))]


def hugetlb(limits: Limits) -> Files:
    """Convert the limits on huge pages, in use and reserved."""
    return [
        ("hugetlb", f"hugetlb.{size}.{kind}max", check.number_or_max(limit))
        for size, limit in limits.hugepages
        for kind in ("", "rsvd.")
    ]


def unified(limits: Limits) -> Files:
    """Check the files of version 2 given by name, as in `unified` of the OCI spec, and sort them.

    A text of several lines, such as for io.max, is written line by line: the kernel takes one at a time.
    Raises InvalidArgument if a name is not that of a cgroup file.
    """
    for name in limits.unified:
        if "/" in name or "." not in name:
            raise InvalidArgument(f"{name!r} is not the name of a cgroup v2 file", "a name looks like memory.high")
    return [
        (name.partition(".")[0], name, line)
        for name, text in sorted(limits.unified.items())
        for line in text.splitlines()
    ]


CONTROLLERS = ("cpu", "cpuset", "memory", "pids", "io", "hugetlb", "unified")
"""Each has a function with its name in this module."""
