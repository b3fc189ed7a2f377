"""`update`: change the limits and the restart policy of a container; if it is running, at once."""

from __future__ import annotations

from pyctr_lite.cgroups import hierarchy, limits
from pyctr_lite.engine.container.container import Container
from pyctr_lite.engine.events import writer as events
from pyctr_lite.engine.life import restart
from pyctr_lite.engine.state import limits as state_limits
from pyctr_lite.engine.state import options, record
from pyctr_lite.errors import Conflict, PyctrError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CHANGEABLE = (
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
    "network_rate_in",
    "network_rate_out",
    "pids_limit",
    "restart",
)
"""The attributes of ContainerOptions that can be changed."""
_NO_CHANGE = (
    *("blkio_weight", "cpu_shares", "cpuset_cpus", "cpuset_mems"),
    *("memory", "memory_reservation", "memory_swap", "nano_cpus"),
)
"""Options whose values 0 and "" mean "not given", as in Docker."""


def update(container: Container, changes: dict[str, Any]) -> None:
    """Change options, named as in ContainerOptions: all of them, or none if one fails.

    Raises InvalidArgument for a value that is out of range, and Conflict if it contradicts another limit.
    Fails with EBUSY if the container uses more memory than the new limit, and the kernel cannot reclaim it.
    """
    if unknown := changes.keys() - set(CHANGEABLE):
        raise TypeError(f"not an option that can be updated: {', '.join(sorted(unknown))}")
    options.check_types(options.ContainerOptions(**changes))
    changes = {name: value for name, value in changes.items() if value or name not in _NO_CHANGE}
    with container.lock:
        container.refresh()
        container.record = record.Record.read(container.directory)
        old = container.record.options
        new = options.ContainerOptions(**old.to_json())
        for name, value in changes.items():
            setattr(new, name, value)
        if new.restart == "no":
            new.restart = ""
        _check(old, new, changes)
        if container.state.Pid:
            group = container.group
            try:
                group.apply(_limits(new, changes))
                _limit_rates(container, changes)
            except (PyctrError, OSError):
                try:
                    group.apply(_limits(old, changes))
                except (PyctrError, OSError):
                    pass  # a limit that was never set has no old value to restore
                raise
        container.record.options = new
        container.record.write(container.directory)
    events.emit(container.paths, "update", container.record)


def _limit_rates(container: Container, changes: dict[str, Any]) -> None:
    """Set the rates of a running container's links, and let its monitor know of the guard on the host's side."""
    received, sent = changes.get("network_rate_in"), changes.get("network_rate_out")
    if received is sent is None:
        return
    from pyctr_lite.engine.life import networks
    from pyctr_lite.engine.network import rates
    from pyctr_lite.engine.network.settings import NetworkSettings
    from pyctr_lite.networks import bridge

    settings = NetworkSettings.read(container.runtime)
    with bridge.Sockets() as sockets:
        rates.limit(sockets, settings, container.state.Pid, received, sent)
    settings.write(container.runtime)
    networks.tell_monitor(container)


def _check(old: options.ContainerOptions, new: options.ContainerOptions, changes: dict[str, Any]) -> None:
    """Check Docker's rules, in its words (daemon/container_operations_unix.go, container/container_unix.go)."""
    restart.parse(new.restart or "no")
    for name in ("network_rate_in", "network_rate_out"):
        if changes.get(name) and not new.networks:
            raise Conflict(f"conflicting options: --{name.replace('_', '-')} and --network {new.network}")
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
    state_limits.check(new)
    if "memory" in changes and "memory_swap" not in changes and old.memory and new.memory_swap is None:
        new.memory_swap = old.memory * 2  # keep the default that is in force
    if "memory_swap" in changes:
        state_limits.check_swap(new)
    elif 0 < (new.memory_swap or 0) < (new.memory or 0):
        raise Conflict(
            "Memory limit should be smaller than already set memoryswap limit, "
            "update the memoryswap at the same time",
            f"give --memory-swap, which is {new.memory_swap} now",
        )


def _limits(chosen: options.ContainerOptions, changes: dict[str, Any]) -> limits.Limits:
    """Return the limits to write. Memory and swap go together: cgroup version 2 holds their difference."""
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
