"""Attributes that a process gets from outside the container: OOM score, scheduling, CPU affinity, security labels.

From the `process` object of the OCI runtime spec (config.md).
"""

from __future__ import annotations

import os

from pyctr_lite.errors import PyctrError
from pyctr_lite.linux import kernelfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


_MAX_CPUS = 1024
"""As many as a cpu_set_t has (CPU_SET(3))."""


def set_attributes(pid: int, process: dict[str, Any]) -> None:
    """Set the OOM score and the scheduling of a process (0: the caller) that has just entered its cgroup.

    It may run on every CPU that its cgroup allows: the affinity of the runtime's caller is not the container's
    (so do runc and crun). Raises PyctrError if the kernel refuses a value.
    """
    _set_oom_score(pid or "self", process)
    try:
        os.sched_setaffinity(pid, range(_MAX_CPUS))
    except OSError:
        pass  # no CPU of the cgroup is online, or the process has exited: later steps report that
    if process.get("scheduler") or process.get("ioPriority"):
        from pyctr_lite.runtime import scheduling

        scheduling.set_early(pid, process)


def prepare_exec(process: dict[str, Any], enter_group: Callable[[], None]) -> None:
    """Set what an exec's process sets for itself, or for its children, before it enters the container.

    `enter_group` moves the caller into the cgroup. Raises PyctrError if the kernel refuses a value.
    """
    _set_affinity("initial", process)
    enter_group()
    set_attributes(0, process)
    _set_affinity("final", process)
    set_exec_labels(process)


def set_exec_labels(process: dict[str, Any]) -> None:
    """Set the AppArmor profile or SELinux label of the program. Only while /proc is the host's (`labels`)."""
    if process.get("apparmorProfile") or process.get("selinuxLabel"):
        from pyctr_lite.runtime import labels  # `process.prepare` has imported it

        labels.set_exec_labels(process)


def _set_oom_score(pid: int | str, process: dict[str, Any]) -> None:
    """Set a process's OOM score, -1000 to 1000 (proc_pid_oom_score_adj(5)). Raises PyctrError if not permitted."""
    score = process.get("oomScoreAdj")
    if score is None:
        return
    try:
        kernelfile.write(f"/proc/{pid}/oom_score_adj", str(score))
    except PermissionError:
        raise PyctrError(
            f"--oom-score-adj {score}: not permitted here",
            "lowering the score needs CAP_SYS_RESOURCE, which this machine does not give",
        ) from None


def _set_affinity(when: str, process: dict[str, Any]) -> None:
    if process.get("execCPUAffinity"):
        from pyctr_lite.runtime import scheduling  # `process.prepare` has imported it

        scheduling.set_affinity(when, process)
