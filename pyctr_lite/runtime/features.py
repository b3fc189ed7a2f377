"""Names that the runtime recognizes in a configuration of processes, for the verb `features`.

Including names that this machine does not support; only `supportedFlags` asks the kernel.
Source: OCI runtime spec, features-linux.md.
"""

from __future__ import annotations

import errno

from pyctr_lite.linux import constants
from pyctr_lite.linux import seccomp as calls
from pyctr_lite.runtime import capabilities, scheduling, seccomp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ACTIONS = "ALLOW ERRNO KILL KILL_PROCESS KILL_THREAD LOG NOTIFY TRACE TRAP".split()
OPERATORS = "EQ GE GT LE LT MASKED_EQ NE".split()
ARCHITECTURES = (
    "AARCH64 ARM LOONGARCH64 M68K MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PARISC PARISC64 PPC PPC64 "
    "PPC64LE RISCV64 S390 S390X SH SHEB X32 X86 X86_64"
).split()
"""Listed here, because importing the compiler loads libseccomp: 50 ms."""


def describe() -> dict[str, Any]:
    """Return the members `capabilities`, `seccomp`, `apparmor`, `selinux`, `memoryPolicy`, `intelRdt`."""
    return {
        "capabilities": list(capabilities.NUMBERS),
        "seccomp": {
            "enabled": True,
            "actions": [f"SCMP_ACT_{name}" for name in ACTIONS],
            "operators": [f"SCMP_CMP_{name}" for name in OPERATORS],
            "archs": [f"SCMP_ARCH_{name}" for name in ARCHITECTURES],
            "knownFlags": list(seccomp.FLAGS),
            "supportedFlags": [name for name, flag in seccomp.FLAGS.items() if is_supported(flag)],
        },
        "apparmor": {"enabled": True},
        "selinux": {"enabled": True},
        "memoryPolicy": {"modes": list(scheduling.MEMORY_MODES), "flags": list(scheduling.MEMORY_FLAGS)},
        "intelRdt": {"enabled": True, "schemata": True, "monitoring": True},
    }


def is_supported(flag: int) -> bool:
    """Return whether the kernel knows a flag of seccomp(2): it checks the flags before it reads the program."""
    if flag == constants.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV:
        flag |= constants.SECCOMP_FILTER_FLAG_NEW_LISTENER
    try:
        calls.set_mode_filter(None, flag)
    except OSError as error:
        return error.errno == errno.EFAULT
    return False
