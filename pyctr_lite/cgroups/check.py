"""Checks of limits before they are written, so that the user gets a better error than EINVAL."""

from __future__ import annotations

from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.cgroups.limits import Limits

_MAX_CPU = 8191
"""Docker's largest number of a CPU or memory node."""


def number_or_max(value: int) -> str:
    """Format a limit for a file that has "max" for no limit (a negative value)."""
    return "max" if value < 0 else str(value)


def shares(value: int) -> int:
    """Check CPU shares, and return them: the kernel would silently take the nearest valid value.

    Raises InvalidArgument if they are out of range.
    """
    if not 2 <= value <= 262144:
        raise InvalidArgument(f"CPU shares must be 2 to 262144, not {value}", "1024 is the default")
    return value


def weight(value: int) -> int:
    """Check a block I/O weight on the OCI spec's scale, and return it.

    Raises InvalidArgument if it is out of range.
    """
    if not 10 <= value <= 1000:
        raise InvalidArgument(f"a block I/O weight must be 10 to 1000, not {value}", "100 is the default")
    return value


def cpuset(cpus: str, mems: str) -> None:
    """Check lists of CPUs and memory nodes, such as "0-3,5". Raises InvalidArgument with Docker's text."""
    for name, text in (("cpus", cpus), ("mems", mems)):
        for part in text.split(",") if text else ():
            first, dash, last = part.partition("-")
            ends = (first, last) if dash else (first,)
            if not all(number.is_whole(end, _MAX_CPU) for end in ends) or int(ends[-1]) < int(first):
                raise InvalidArgument(f"Invalid value {text} for cpuset {name}", "a list looks like 0-3,5")


def memory(limits: Limits) -> None:
    """Check that memory, memory plus swap, and reservation are consistent. Raises InvalidArgument if not."""
    for name in ("memory", "memory_swap", "memory_reservation"):
        value = getattr(limits, name)
        if value is not None and value < -1:
            raise InvalidArgument(f"{name} must be a number of bytes or -1, not {value}")
    if limits.memory_swap is None or limits.memory_swap == -1:
        return
    if limits.memory is None or limits.memory == -1:
        raise InvalidArgument("a limit of memory plus swap needs a memory limit", "set memory, too")
    if limits.memory_swap < limits.memory:
        raise InvalidArgument(
            f"the limit of memory plus swap, {limits.memory_swap}, is below the memory limit, {limits.memory}",
            "the first includes the second",
        )
