"""Capabilities by name, and the five capability sets of a process (capabilities(7))."""

from __future__ import annotations

from pyctr_lite import linux

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NAMES = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
]
"""The names without CAP_, each at the index of its number (include/uapi/linux/capability.h)."""

NUMBERS = {"CAP_" + name: number for number, name in enumerate(NAMES)}
SETS = ("bounding", "effective", "inheritable", "permitted", "ambient")

_bounding: int | None = None


def bounding_set() -> list[str]:
    """Return the names in the caller's bounding set, the limit for every process that the caller starts.

    Read once, by a system call: inside a container the container could forge a file such as /proc/self/status.
    """
    global _bounding
    if _bounding is None:
        _bounding = linux.capbset_read()
    return [name for name, number in NUMBERS.items() if _bounding >> number & 1]


def mask(names: list[str]) -> int:
    """Return the bit mask of capabilities. Unknown names are ignored (OCI runtime spec, config.md)."""
    word = 0
    for name in names:
        if name in NUMBERS:
            word |= 1 << NUMBERS[name]
    return word


def warnings(capabilities: dict[str, Any]) -> list[str]:
    """Return what a runtime must warn of: unknown names, those not granted here, ambient ones without effect.

    The texts are runc's. Source: OCI runtime spec, config.md, "Linux Process"; capabilities(7).
    """
    given = {kind: set(capabilities.get(kind) or []) for kind in SETS}
    found = []
    available = set(bounding_set())
    if unknown := sorted(set().union(*given.values()) - available):
        found.append(f"ignoring unknown or unavailable capabilities: [{' '.join(unknown)}]")
    for name in sorted(given["ambient"] & available - (given["permitted"] & given["inheritable"])):
        found.append(f"can't raise ambient capability {name}: it must be permitted and inheritable")
    return found


def add(capabilities: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """Return the sets with further capabilities, as `exec --cap` adds them.

    The bounding, effective and permitted sets get them. An ambient capability must be inheritable, so the ambient
    set gets them only if the process has inheritable ones (so does runc).
    """
    kinds = ("bounding", "effective", "permitted", *(("ambient",) if capabilities.get("inheritable") else ()))
    return {**capabilities, **{kind: [*(capabilities.get(kind) or []), *names] for kind in kinds}}


def limit_bounding_set(capabilities: dict[str, Any]) -> None:
    """Drop every capability from the bounding set that `process.capabilities.bounding` does not name."""
    keep = mask(capabilities.get("bounding") or [])
    drop = linux.capbset_read() & ~keep  # read again: in a new user namespace a process has all capabilities
    for number in range(drop.bit_length()):
        if drop >> number & 1:
            linux.prctl(linux.PR_CAPBSET_DROP, number)


def put_down(capabilities: dict[str, Any]) -> None:
    """Reduce the effective set to the program's. The permitted set stays, for `regain`."""
    _, permitted, inheritable = linux.capget()
    linux.capset(mask(capabilities.get("effective") or []) & permitted, permitted, inheritable)


def regain() -> None:
    """Make every permitted capability effective, after `put_down`, or setresuid(2) to a user other than root."""
    effective, permitted, inheritable = linux.capget()
    if effective != permitted:
        linux.capset(permitted, permitted, inheritable)


def apply(capabilities: dict[str, Any]) -> None:
    """Set the effective, permitted, inheritable and ambient sets, within the caller's permitted set."""
    _, held, _ = linux.capget()
    permitted = mask(capabilities.get("permitted") or []) & held
    effective = mask(capabilities.get("effective") or []) & permitted
    inheritable = mask(capabilities.get("inheritable") or []) & held
    linux.capset(effective, permitted, inheritable)
    linux.prctl_ambient(linux.PR_CAP_AMBIENT_CLEAR_ALL)
    ambient = mask(capabilities.get("ambient") or []) & permitted & inheritable
    for number in range(len(NAMES)):
        if ambient >> number & 1:
            linux.prctl_ambient(linux.PR_CAP_AMBIENT_RAISE, number)
