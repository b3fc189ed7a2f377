"""Resource limits of a process (`process.rlimits`, getrlimit(2)). Imported only for a process that has some.

`resource`, the module of Python's own below this one, takes 0.4 ms to load.
"""

from __future__ import annotations

import resource

from pyctr_lite.errors import InvalidArgument, PyctrError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def check(limits: list[dict[str, Any]]) -> None:
    """Check the limits of a `process` object. Raises InvalidArgument: unknown or repeated type, soft > hard."""
    seen = set()
    for limit in limits:
        _number(limit)
        if limit["type"] in seen:
            raise InvalidArgument(f"rlimit {limit['type']} is given twice")
        seen.add(limit["type"])
        for name in ("soft", "hard"):
            value = limit.get(name)
            if not isinstance(value, int) or not -1 <= value < 2**64:
                raise InvalidArgument(f"rlimit {limit['type']}: {name} must be a number, not {value!r}")
        if _value(limit["soft"]) % 2**64 > _value(limit["hard"]) % 2**64:
            raise InvalidArgument(f"rlimit {limit['type']}: soft {limit['soft']} is above hard {limit['hard']}")


def raise_hard_limits(pid: int, limits: list[dict[str, Any]]) -> None:
    """Raise the hard limits of a process (0: the caller) to those of its program.

    In a user namespace the process cannot raise them itself; it sets the limits right before the exec (`confine`).
    """
    for limit in limits:
        number = _number(limit)
        soft, hard = resource.prlimit(pid, number)
        wanted = _value(limit["hard"])
        if hard >= 0 and (wanted < 0 or wanted > hard):
            try:
                resource.prlimit(pid, number, (soft, wanted))
            except (ValueError, PermissionError) as error:
                raise _refused(limit, hard, error) from None


def set_limits(limits: list[dict[str, Any]]) -> None:
    """Set the caller's limits: those of a `process` object. Raises PyctrError if one is not permitted."""
    for limit in limits:
        number = _number(limit)
        try:
            resource.setrlimit(number, (_value(limit["soft"]), _value(limit["hard"])))
        except (ValueError, PermissionError) as error:
            raise _refused(limit, resource.getrlimit(number)[1], error) from None


def _refused(limit: dict[str, Any], hard: int, error: Exception) -> PyctrError:
    hint = f"the hard limit here is {hard}; raising it needs CAP_SYS_RESOURCE"
    if limit["type"] == "RLIMIT_NOFILE":
        hint += ", and `sysctl fs.nr_open` is the maximum for every process"
    return PyctrError(f"cannot set {limit['type']} to {limit['soft']}:{limit['hard']}: {error}", hint)


def _number(limit: dict[str, Any]) -> int:
    kind = str(limit.get("type"))
    number = _RLIMIT_LOCKS if kind == "RLIMIT_LOCKS" else getattr(resource, kind, None)
    if number is None or not kind.startswith("RLIMIT_"):
        raise InvalidArgument(f"rlimit {kind}: no such limit")
    return int(number)


_RLIMIT_LOCKS = 10
"""The kernel's number, which Python does not name (include/uapi/asm-generic/resource.h)."""


def _value(value: int) -> int:
    return -1 if value >= 2**63 else value  # RLIM_INFINITY
