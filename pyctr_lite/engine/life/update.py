"""`update`: other limits for a container, at once where it runs, and another restart policy."""

from __future__ import annotations

import os
from typing import Any

from pyctr_lite.cgroups import check, hierarchy, limits
from pyctr_lite.engine.container.container import Container
from pyctr_lite.engine.events import writer as events
from pyctr_lite.engine.life import restart
from pyctr_lite.engine.state import options, record
from pyctr_lite.errors import Conflict, InvalidArgument, PyctrError

LIMITS = (
    "blkio_weight",
    "cpu_period",
    "cpu_quota",
    "cpu_shares",
    "cpuset_cpus",
    "cpuset_mems",
    "memory",
    "memory_reservation",
    "memory_swap",
    "nano_cpus",
    "pids_limit",
)
"""The attributes of ContainerOptions that can be changed, besides `restart`."""


def update(container: Container, changes: dict[str, Any]) -> None:
    """Change options by their names in ContainerOptions; all of them, or none where one cannot be.

    Fails with InvalidArgument and Conflict for limits that contradict each other or those that stay, with the
    kernel's error for one that it refuses: memory below what is used and cannot be given back (EBUSY).
    """
    with container.lock:
        container.refresh()
        container.record = record.Record.read(container.directory)
        old = container.record.options
        new = options.ContainerOptions(**old.to_json())
        for name, value in changes.items():
            setattr(new, name, value)
        _check(old, new, changes)
        if container.state.Pid:
            group = container.group
            try:
                group.apply(_limits(new, changes))
            except (PyctrError, OSError):
                try:
                    group.apply(_limits(old, changes))
                except (PyctrError, OSError):
                    pass  # what was never limited has no old value to write
                raise
        container.record.options = new
        container.record.write(container.directory)
    events.emit(container.paths, "update", container.record)


def _check(old: options.ContainerOptions, new: options.ContainerOptions, changes: dict[str, Any]) -> None:
    """Docker's rules (daemon/container_operations_unix.go, container/container_unix.go), in its words."""
    restart.parse(new.restart or "no")
    if new.restart and new.remove:
        raise Conflict("Restart policy cannot be updated because AutoRemove is enabled for the container")
    if old.nano_cpus and not changes.get("nano_cpus") and ("cpu_quota" in changes or "cpu_period" in changes):
        raise Conflict(
            "Conflicting options: CPU Period or Quota cannot be updated as NanoCPUs has already been set"
        )
    if changes.get("nano_cpus") and (new.cpu_quota or new.cpu_period):
        raise Conflict(
            "Conflicting options: Nano CPUs cannot be updated as CPU Period or Quota has already been set"
        )
    most = os.cpu_count() or 1
    if new.nano_cpus and not 10**7 <= new.nano_cpus <= most * 10**9:
        raise InvalidArgument(f"Range of CPUs is from 0.01 to {most}.00, as there are only {most} CPUs available")
    if new.memory is not None and new.memory < 6 << 20:
        raise InvalidArgument("Minimum memory limit allowed is 6MB")
    if 0 < (new.memory_reservation or 0) < 6 << 20:
        raise InvalidArgument("Minimum memory reservation allowed is 6MB")
    check.cpuset(new.cpuset_cpus, new.cpuset_mems)
    if (new.memory_swap or 0) > 0 and new.memory is None:
        raise InvalidArgument("You should always set the Memory limit when using Memoryswap limit", "add -m")
    if new.memory is not None and new.memory < (new.memory_reservation or 0):
        raise InvalidArgument("Minimum memory limit can not be less than memory reservation limit")
    if "memory" in changes and "memory_swap" not in changes and old.memory and new.memory_swap is None:
        new.memory_swap = old.memory * 2  # what it was by default stays
    if 0 < (new.memory_swap or 0) < (new.memory or 0):
        if "memory_swap" in changes:
            raise InvalidArgument("Minimum memoryswap limit should be larger than memory limit")
        raise Conflict(
            "Memory limit should be smaller than already set memoryswap limit, "
            "update the memoryswap at the same time",
            f"--memory-swap; it is {new.memory_swap} now",
        )


def _limits(chosen: options.ContainerOptions, changes: dict[str, Any]) -> limits.Limits:
    """What the kernel is to hold of what changed. Memory and swap go together: version 2 has their difference."""
    limit = limits.Limits()
    if "memory" in changes or "memory_swap" in changes:
        limit.memory = chosen.memory
        if hierarchy.counts_swap():
            default = chosen.memory * 2 if chosen.memory else None
            limit.memory_swap = default if chosen.memory_swap is None else chosen.memory_swap
    if "memory_reservation" in changes:
        limit.memory_reservation = chosen.memory_reservation
    if "nano_cpus" in changes and chosen.nano_cpus:
        limit.cpu_period = 100_000
        limit.cpu_quota = chosen.nano_cpus * limit.cpu_period // 10**9
    for name in ("cpu_period", "cpu_quota", "cpu_shares", "cpuset_cpus", "cpuset_mems", "blkio_weight"):
        if name in changes:
            setattr(limit, name, getattr(chosen, name))
    if "pids_limit" in changes:
        limit.pids = chosen.pids_limit or -1
    return limit
