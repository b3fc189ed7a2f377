"""Limits as version 2's files: pure functions, a controller each (kernel admin-guide/cgroup-v2.rst)."""

from __future__ import annotations

from pyctr_lite.cgroups import check
from pyctr_lite.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

    from pyctr_lite.cgroups.limits import Limits

    Files = list[tuple[str, str, str]]

DEFAULT_PERIOD = 100_000
"""The kernel's CPU period, µs."""


def files(limits: Limits, controllers: Container[str] | None = None) -> Files:
    """What to write for these limits: (controller, file, text), in the order of writing.

    `controllers` keeps those that are in it. Fails with InvalidArgument for limits that contradict themselves.
    Device rules are no file of version 2: `device_filter` has them.
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
    """CPU time: a weight against the neighbours, and a hard quota in each period, both in one file."""
    lines: Files = []
    if limits.cpu_shares is not None:
        lines.append(("cpu", "cpu.weight", str(cpu_weight(limits.cpu_shares))))
    if limits.cpu_quota is not None or limits.cpu_period is not None:
        quota = check.number_or_max(-1 if limits.cpu_quota is None else limits.cpu_quota)
        lines.append(("cpu", "cpu.max", f"{quota} {limits.cpu_period or DEFAULT_PERIOD}"))
    return lines


def cpu_weight(shares: int) -> int:
    """Version 1's shares (2 to 262144) on version 2's scale (1 to 10000), in proportion.

    1024 shares, the default, become 39, though the default weight is 100: so say the OCI spec's old formula and
    the runc and crun of Debian 12 and 13; a formula that keeps the default came with runc 1.4.
    """
    return 1 + (check.shares(shares) - 2) * 9999 // 262142


def cpuset(limits: Limits) -> Files:
    """On which CPUs, and from which memory nodes."""
    lines: Files = []
    if limits.cpuset_cpus:
        lines.append(("cpuset", "cpuset.cpus", limits.cpuset_cpus))
    if limits.cpuset_mems:
        lines.append(("cpuset", "cpuset.mems", limits.cpuset_mems))
    return lines


def memory(limits: Limits) -> Files:
    """Memory, and swap: counted apart here, while `Limits.memory_swap` is both together.

    Swap is limited first: else what a lower memory limit pushes out would land there. `memory.oom.group` stays
    as it is: the kernel kills one process, as it does under version 1.
    """
    check.memory(limits)
    if limits.oom_kill_disable:
        raise InvalidArgument("cgroup v2 cannot disable the OOM killer", "leave --oom-kill-disable out")
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
    """How many processes and threads: fork(2) fails with EAGAIN beyond."""
    return [] if limits.pids is None else [("pids", "pids.max", check.number_or_max(limits.pids))]


def io(limits: Limits) -> Files:
    """Disks: a weight, and bytes and operations per second of each disk, a line of `io.max` each.

    The weight is the bfq scheduler's where the group has its file; `io_weight` gives the other file's text.
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
    """The block I/O weight (10 to 1000) for a kernel with `io.weight` (1 to 10000) and no bfq scheduler."""
    if limits.blkio_weight is None:
        return []
    return [("io", "io.weight", str(1 + (check.weight(limits.blkio_weight) - 10) * 9999 // 990))]


def hugetlb(limits: Limits) -> Files:
    """Huge pages: those in use, and those reserved."""
    return [
        ("hugetlb", f"hugetlb.{size}.{kind}max", check.number_or_max(limit))
        for size, limit in limits.hugepages
        for kind in ("", "rsvd.")
    ]


def unified(limits: Limits) -> Files:
    """Files of version 2 by their own names, as the OCI spec's `unified` gives them."""
    for name in limits.unified:
        if "/" in name or "." not in name:
            raise InvalidArgument(f"{name!r} is not the name of a cgroup v2 file", "as in memory.high")
    return [(name.partition(".")[0], name, text) for name, text in sorted(limits.unified.items())]


CONTROLLERS = ("cpu", "cpuset", "memory", "pids", "io", "hugetlb", "unified")
"""Each has a function of its name here."""
