"""Resource limits of a container: check their ranges and combinations.  [hot]

The rules and messages are those of Docker's daemon (moby, daemon/daemon_unix.go).
"""

from __future__ import annotations

import os

from pyctr_lite.cgroups import check as cgroup_check
from pyctr_lite.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.state.options import ContainerOptions

_MIN_MEMORY = 6 << 20


def check(options: ContainerOptions) -> None:
    """Raise InvalidArgument for a limit that is out of range, or that contradicts another one.

    `check_swap` is a separate check, because `update` completes the swap limit first.
    """
    cpus = os.cpu_count() or 1
    if options.nano_cpus and not 10**7 <= options.nano_cpus <= cpus * 10**9:
        raise InvalidArgument(f"Range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available")
    if options.memory is not None and options.memory < _MIN_MEMORY:
        raise InvalidArgument("Minimum memory limit allowed is 6MB")
    if options.memory_reservation is not None and options.memory_reservation < _MIN_MEMORY:
        raise InvalidArgument("Minimum memory reservation allowed is 6MB")
    if options.memory is not None and options.memory < (options.memory_reservation or 0):
        raise InvalidArgument("Minimum memory limit can not be less than memory reservation limit, see usage")
    if options.memory is None and (options.memory_swap or 0) > 0:
        raise InvalidArgument("You should always set the Memory limit when using Memoryswap limit", "add -m")
    if options.cpu_shares is not None:
        cgroup_check.shares(options.cpu_shares)
    if options.blkio_weight is not None:
        cgroup_check.weight(options.blkio_weight)
    if options.cpuset_cpus or options.cpuset_mems:
        cgroup_check.cpuset(options.cpuset_cpus, options.cpuset_mems)
    for name in ("network_rate_in", "network_rate_out"):
        if (rate := getattr(options, name) or 0) < 0:
            raise InvalidArgument(f"invalid {name}: {rate}", "a number of bytes per second, or 0 for no limit")


def check_swap(options: ContainerOptions) -> None:
    """Raise InvalidArgument if the limit of memory plus swap is below the memory limit; -1 is unlimited."""
    swap = options.memory_swap
    if swap is not None and swap != -1 and swap < (options.memory or 0):
        raise InvalidArgument("Minimum memoryswap limit should be larger than memory limit")
