"""Scheduling of a container's processes: CPU policy, I/O priority, CPU affinity, memory policy, personality.

From `process.scheduler`, `ioPriority`, `execCPUAffinity` (OCI runtime spec, config.md), `linux.memoryPolicy` and
`linux.personality` (config-linux.md). Imported only for a process that has one of them.
"""

from __future__ import annotations

import errno
import os

from pyctr_lite import linux
from pyctr_lite.errors import InvalidArgument, PyctrError
from pyctr_lite.formats import number as numbers
from pyctr_lite.linux import explain, scheduling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

POLICIES = {
    "SCHED_OTHER": 0,
    "SCHED_FIFO": 1,
    "SCHED_RR": 2,
    "SCHED_BATCH": 3,
    "SCHED_ISO": 4,
    "SCHED_IDLE": 5,
    "SCHED_DEADLINE": 6,
}
SCHED_FLAGS = {
    "SCHED_FLAG_RESET_ON_FORK": 0x01,
    "SCHED_FLAG_RECLAIM": 0x02,
    "SCHED_FLAG_DL_OVERRUN": 0x04,
    "SCHED_FLAG_KEEP_POLICY": 0x08,
    "SCHED_FLAG_KEEP_PARAMS": 0x10,
    "SCHED_FLAG_UTIL_CLAMP_MIN": 0x20,
    "SCHED_FLAG_UTIL_CLAMP_MAX": 0x40,
}
IO_CLASSES = {"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}
MEMORY_MODES = {
    "MPOL_DEFAULT": 0,
    "MPOL_PREFERRED": 1,
    "MPOL_BIND": 2,
    "MPOL_INTERLEAVE": 3,
    "MPOL_LOCAL": 4,
    "MPOL_PREFERRED_MANY": 5,
    "MPOL_WEIGHTED_INTERLEAVE": 6,
}
MEMORY_FLAGS = {"MPOL_F_NUMA_BALANCING": 1 << 13, "MPOL_F_RELATIVE_NODES": 1 << 14, "MPOL_F_STATIC_NODES": 1 << 15}
DOMAINS = {"LINUX": 0x0, "LINUX32": 0x8}
"""Names of the spec, numbers of the kernel (include/uapi/linux: sched.h, ioprio.h, mempolicy.h, personality.h)."""

_MAX_CPU = 65535
_DEADLINE_TIMES = ("runtime", "deadline", "period")


def check_process(process: dict[str, Any]) -> None:
    """Check the scheduling of a `process` object. Raises InvalidArgument."""
    if scheduler := process.get("scheduler"):
        _check_scheduler(scheduler)
    if priority := process.get("ioPriority"):
        _number("ioPriority.class", priority.get("class"), IO_CLASSES)
        if not 0 <= (priority.get("priority") or 0) <= 7:
            raise InvalidArgument(f"invalid ioPriority.priority: {priority['priority']}", "0 (highest) to 7")
    for name, cpus in (process.get("execCPUAffinity") or {}).items():
        parse_list(cpus or "", f"execCPUAffinity.{name}")


def check_linux(config: dict[str, Any]) -> None:
    """Check the memory policy and the personality of a `linux` object. Raises InvalidArgument."""
    if (policy := config.get("memoryPolicy")) is not None:
        mode, nodes = _memory_policy(policy)
        kind = mode & 0xFF
        if kind in (MEMORY_MODES["MPOL_DEFAULT"], MEMORY_MODES["MPOL_LOCAL"]) and nodes:
            raise InvalidArgument(f"memory policy {policy['mode']}: mode requires 0 nodes but got {len(nodes)}")
        if kind not in (0, 1, 4) and not nodes:
            raise InvalidArgument(f"memory policy {policy['mode']}: mode requires at least one node but got 0")
    if personality := config.get("personality"):
        _number("personality.domain", personality.get("domain"), DOMAINS)
        if personality.get("flags"):
            raise InvalidArgument(f"personality.flags {personality['flags']}: no flags are supported")


def is_late(process: dict[str, Any]) -> bool:
    """Return whether the scheduler can only be set by the process itself, after its last fork.

    A process with SCHED_DEADLINE cannot fork, and SCHED_FLAG_RESET_ON_FORK takes effect at a fork (sched(7)).
    """
    scheduler = process.get("scheduler") or {}
    flags = scheduler.get("flags") or []
    return scheduler.get("policy") == "SCHED_DEADLINE" or "SCHED_FLAG_RESET_ON_FORK" in flags


def set_early(pid: int, process: dict[str, Any]) -> None:
    """Set the I/O priority and, unless `is_late`, the scheduler of a process; 0 is the caller. Children inherit.

    The launcher does it, or a process outside the container: in a user namespace no process has
    the privileges. Raises PyctrError if the kernel refuses.
    """
    if priority := process.get("ioPriority"):
        text, level = priority["class"], priority.get("priority") or 0
        _permitted(f"I/O priority {text}", lambda: scheduling.ioprio_set(pid, IO_CLASSES[text], level))
    if process.get("scheduler") and not is_late(process):
        _set_scheduler(pid, process["scheduler"])


def set_late(process: dict[str, Any]) -> None:
    """Set a scheduler for which `is_late` is true, in the process that executes the program."""
    if is_late(process):
        _set_scheduler(0, process["scheduler"])


def set_policies(config: dict[str, Any]) -> None:
    """Set the memory policy and the personality of a `linux` object for the caller and its children."""
    if (policy := config.get("memoryPolicy")) is not None:
        mode, nodes = _memory_policy(policy)
        _permitted(f"memory policy {policy['mode']}", lambda: scheduling.set_mempolicy(mode, nodes))
    if personality := config.get("personality"):
        linux.personality(DOMAINS[personality["domain"]])


def set_affinity(when: str, process: dict[str, Any]) -> None:
    """Set the caller's CPU affinity for an exec: "initial" before it enters its cgroup, "final" afterwards.

    Does nothing if the process has none for that moment. Raises PyctrError if none of the CPUs can be used.
    """
    cpus = parse_list((process.get("execCPUAffinity") or {}).get(when) or "", when)
    if cpus:
        call = f"sched_setaffinity(0, {sorted(cpus)})"
        _permitted(f"{when} CPU affinity", lambda: explain.step(call, os.sched_setaffinity, 0, cpus))


def parse_list(text: str, name: str) -> set[int]:
    """Return the numbers of a list such as `0-3,7`; `name` is its property. Raises InvalidArgument.

    Source: cpuset(7), "List format"; empty elements are ignored, as in runc.
    """
    found: set[int] = set()
    for item in text.split(","):
        first, dash, last = (part.strip() for part in item.partition("-"))
        if not first and not dash:
            continue
        if not numbers.is_digits(first) or (dash and not numbers.is_digits(last)):
            raise InvalidArgument(f"invalid {name} {text!r}", "a list such as 0-3,7")
        start, end = int(first), int(last or first)
        if start > end or end > _MAX_CPU:
            raise InvalidArgument(f"invalid {name} {text!r}", f"a list such as 0-3,7; at most {_MAX_CPU}")
        found.update(range(start, end + 1))
    if text and not found:
        raise InvalidArgument(f"invalid {name} {text!r}: it has no members")
    return found


def _check_scheduler(scheduler: dict[str, Any]) -> None:
    policy = scheduler.get("policy")
    _number("scheduler.policy", policy, POLICIES)
    for flag in scheduler.get("flags") or []:
        _number("scheduler flag", flag, SCHED_FLAGS)
    nice = scheduler.get("nice") or 0
    if policy in ("SCHED_OTHER", "SCHED_BATCH") and not -20 <= nice <= 19:
        raise InvalidArgument(f"invalid scheduler.nice: {nice} when scheduler.policy is {policy}", "-20 to 19")
    if scheduler.get("priority") and policy not in ("SCHED_FIFO", "SCHED_RR"):
        raise InvalidArgument("scheduler.priority can only be specified for SCHED_FIFO or SCHED_RR")
    if policy == "SCHED_DEADLINE":
        _check_deadline(scheduler)
    elif any(scheduler.get(name) for name in _DEADLINE_TIMES):
        raise InvalidArgument("scheduler runtime/deadline/period can only be specified for SCHED_DEADLINE")


def _check_deadline(scheduler: dict[str, Any]) -> None:
    """Check times in nanoseconds that the kernel only refuses as EINVAL (sched(7)). The messages are crun's."""
    prefix = "sched_setattr: `SCHED_DEADLINE`"
    for name in ("runtime", "deadline"):
        if scheduler.get(name) is None:
            raise InvalidArgument(f"{prefix} requires `{name}`")
        if scheduler[name] == 0:
            raise InvalidArgument(f"{prefix} {name} must be greater than 0")
    runtime, deadline, period = (scheduler.get(name) or 0 for name in _DEADLINE_TIMES)
    if runtime > deadline:
        raise InvalidArgument(f"{prefix} runtime ({runtime}) must be <= deadline ({deadline})")
    if period and deadline > period:
        raise InvalidArgument(f"{prefix} deadline ({deadline}) must be <= period ({period})")
    for name in _DEADLINE_TIMES:
        value = scheduler.get(name) or 0
        if value and not 1024 <= value < 2**63:
            raise InvalidArgument(f"{prefix} {name} ({value}) must be between 1024 and {2**63 - 1}")


def _set_scheduler(pid: int, scheduler: dict[str, Any]) -> None:
    attr = scheduling.SchedAttr(
        sched_policy=POLICIES[scheduler["policy"]],
        sched_flags=sum(SCHED_FLAGS[flag] for flag in set(scheduler.get("flags") or [])),
        sched_nice=scheduler.get("nice") or 0,
        sched_priority=scheduler.get("priority") or 0,
        sched_runtime=scheduler.get("runtime") or 0,
        sched_deadline=scheduler.get("deadline") or 0,
        sched_period=scheduler.get("period") or 0,
    )
    _permitted(f"scheduler {scheduler['policy']}", lambda: scheduling.sched_setattr(pid, attr))


def _permitted(what: str, act: Callable[[], object]) -> None:
    try:
        act()
    except OSError as error:
        text = f"cannot set the {what}: {error.strerror}"
        if error.errno == errno.EPERM and "SCHED_DEADLINE" in what:
            # The phrase is runc's: the kernel requires that the process may run on every CPU.
            text += "; the process scheduler can't be used together with AllowedCPUs"
        elif error.errno == errno.EPERM and "SCHED_" in what:
            raise PyctrError(
                text, "it needs CAP_SYS_NICE and, for real time, cpu.rt_runtime_us of the group"
            ) from None
        raise PyctrError(text) from None


def _memory_policy(policy: dict[str, Any]) -> tuple[int, set[int]]:
    """Return the mode with its flags, and the nodes. Raises InvalidArgument."""
    mode = _number("memory policy mode", policy.get("mode"), MEMORY_MODES)
    for flag in policy.get("flags") or []:
        mode |= _number("memory policy flag", flag, MEMORY_FLAGS)
    return mode, parse_list(policy.get("nodes") or "", "memory policy nodes")


def _number(what: str, name: object, known: dict[str, int]) -> int:
    if name not in known:
        raise InvalidArgument(f"invalid {what} {name!r}", f"one of {', '.join(known)}")
    return known[str(name)]
