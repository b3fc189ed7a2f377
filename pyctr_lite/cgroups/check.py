"""Values of limits that either version would refuse, told before the kernel is asked."""

from __future__ import annotations

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.cgroups.limits import Limits
_MOST_CPUS = 8191
"""Docker's: the largest number of a CPU or memory node."""


def number_or_max(value: int) -> str:
    """The text of a limit, where the kernel says "max" for none."""
    return "max" if value < 0 else str(value)


def shares(value: int) -> int:
    """CPU shares. The kernel would silently take the nearest that it knows."""
    if not 2 <= value <= 262144:
        raise InvalidArgument(f"CPU shares are 2 to 262144, not {value}", "1024 is the default")
    return value


def weight(value: int) -> int:
    """A block I/O weight on the OCI spec's scale."""
    if not 10 <= value <= 1000:
        raise InvalidArgument(f"a block I/O weight is 10 to 1000, not {value}", "100 is the default")
    return value


def cpuset(cpus: str, mems: str) -> None:
    """Lists of CPUs and memory nodes, as in "0-3,5". Raises InvalidArgument in Docker's words."""
    for name, text in (("cpus", cpus), ("mems", mems)):
        for part in text.split(",") if text else ():
            first, dash, last = part.partition("-")
            ends = (first, last) if dash else (first,)
            if not all(number.is_whole(end, _MOST_CPUS) for end in ends) or int(ends[-1]) < int(first):
                raise InvalidArgument(f"Invalid value {text} for cpuset {name}", "it is a list as in 0-3,5")


def memory(limits: Limits) -> None:
    """Memory, with swap, and reserved: what they must be to one another."""
    for name in ("memory", "memory_swap", "memory_reservation"):
        value = getattr(limits, name)
        if value is not None and value < -1:
            raise InvalidArgument(f"{name} is a number of bytes or -1, not {value}")
    if limits.memory_swap is None or limits.memory_swap == -1:
        return
    if limits.memory is None or limits.memory == -1:
        raise InvalidArgument("a limit of memory and swap needs a limit of memory", "give memory, too")
    if limits.memory_swap < limits.memory:
        raise InvalidArgument(
            f"the limit of memory and swap, {limits.memory_swap}, is lower than that of memory, {limits.memory}",
            "the first counts both together",
        )
