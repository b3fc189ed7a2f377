"""Capabilities by name, and a process's five sets of them (capabilities(7))."""

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


_held: int | None = None


def bounding_set() -> list[str]:
    """Return the names in the caller's bounding set: a process that the caller starts cannot get any other.

    The kernel is asked, once: inside a container a file such as /proc/self/status would be the container's own.
    """
    global _held
    if _held is None:
        _held = linux.capbset_read()
    return [name for name, number in NUMBERS.items() if _held >> number & 1]


def mask(names: list[str]) -> int:
    """The bit mask of capabilities by name. Names unknown here are left out (OCI runtime spec, config.md)."""
    word = 0
    for name in names:
        if name in NUMBERS:
            word |= 1 << NUMBERS[name]
    return word


def limit_bounding_set(capabilities: dict[str, Any]) -> None:
    """Drop from the bounding set all that `process.capabilities.bounding` does not name."""
    keep = mask(capabilities.get("bounding", []))
    drop = linux.capbset_read() & ~keep  # asked anew: in a user namespace of its own a process has all
    for number in range(drop.bit_length()):
        if drop >> number & 1:
            linux.prctl(linux.PR_CAPBSET_DROP, number)


def put_down(capabilities: dict[str, Any]) -> None:
    """Leave effective only what the program is to have effective; what is permitted stays, for `regain`."""
    _, permitted, inheritable = linux.capget()
    linux.capset(mask(capabilities.get("effective", [])) & permitted, permitted, inheritable)


def regain() -> None:
    """Make effective what is permitted: setresuid(2) to a user who is not root takes that away, `put_down` too."""
    effective, permitted, inheritable = linux.capget()
    if effective != permitted:
        linux.capset(permitted, permitted, inheritable)


def apply(capabilities: dict[str, Any]) -> None:
    """Set the effective, permitted, inheritable and ambient sets, as far as the caller has them."""
    _, has, _ = linux.capget()
    permitted = mask(capabilities.get("permitted", [])) & has
    effective = mask(capabilities.get("effective", [])) & permitted
    inheritable = mask(capabilities.get("inheritable", [])) & has
    linux.capset(effective, permitted, inheritable)
    linux.prctl_ambient(linux.PR_CAP_AMBIENT_CLEAR_ALL)
    ambient = mask(capabilities.get("ambient", [])) & permitted & inheritable
    for number in range(len(NAMES)):
        if ambient >> number & 1:
            linux.prctl_ambient(linux.PR_CAP_AMBIENT_RAISE, number)
