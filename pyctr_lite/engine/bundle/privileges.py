"""Capabilities, resource limits and seccomp filter of a container's processes, those of `exec` too.  [hot]"""

from __future__ import annotations

from pyctr_lite.engine.bundle import seccomp_profile
from pyctr_lite.runtime import capabilities

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite import jsonfile

_DEFAULT_NAMES = (
    "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE "
    "SYS_CHROOT KILL AUDIT_WRITE"
).split()
DEFAULT_CAPABILITIES = ["CAP_" + name for name in _DEFAULT_NAMES]


def capability_names(options: Any) -> list[str]:
    """Return the capabilities for --cap-add, --cap-drop and --privileged that are in our own bounding set."""
    held = capabilities.bounding_set()
    if options.privileged:
        return held
    names = set(DEFAULT_CAPABILITIES)
    adds, drops = (
        {"CAP_" + item.upper().removeprefix("CAP_") for item in items}
        for items in (options.cap_add, options.cap_drop)
    )
    if "CAP_ALL" in adds:
        names = set(held)
    if "CAP_ALL" in drops:
        names = set()
    names = (names | adds) - drops - {"CAP_ALL"}
    return [name for name in held if name in names]


def rlimits(options: Any) -> list[dict[str, Any]]:
    """Return `process.rlimits`. A limit of -1 becomes the largest number, the kernel's RLIM_INFINITY."""
    return [
        {"type": f"RLIMIT_{name.upper()}", "hard": hard % 2**64, "soft": soft % 2**64}
        for name, soft, hard in options.ulimits
    ]


def no_new_privileges(options: Any) -> bool:
    """Return whether no program in the container can gain privileges (PR_SET_NO_NEW_PRIVS of prctl(2))."""
    return "no-new-privileges" in options.security_opt


def seccomp(options: Any) -> jsonfile.RawJson | None:
    """Return `linux.seccomp`: the profile of --security-opt, or the default one; None for no filter."""
    names = capability_names(options)
    for item in options.security_opt:
        if item.startswith("seccomp="):
            from pyctr_lite.engine.bundle import security

            return security.profile(item, names)
    return None if options.privileged else seccomp_profile.default(names)
