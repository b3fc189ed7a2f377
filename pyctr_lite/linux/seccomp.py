"""System call filters (seccomp(2)): a classic BPF program that the kernel runs at every call."""

from __future__ import annotations

import os

from pyctr_lite.linux import call, constants, ffi

_NR_SECCOMP = 277 if os.uname().machine == "aarch64" else 317
INSTRUCTION_BYTES = 8
"""Size of a struct sock_filter in bytes."""


class _SockFprog(ffi.Structure):
    _fields_ = [("len", ffi.c_ushort), ("filter", ffi.c_char_p)]


def set_mode_filter(program: bytes | None, flags: int = 0) -> int:
    """Filter all later system calls of the caller, its children and the programs they execute.

    Fails with EACCES for a caller with neither no_new_privs nor CAP_SYS_ADMIN in its user namespace, EINVAL for
    a program or flag that the kernel rejects, EFAULT without a program. A filter cannot be removed once installed.
    Returns 0, or with SECCOMP_FILTER_FLAG_NEW_LISTENER a descriptor for seccomp_unotify(2).
    """
    count = len(program) // INSTRUCTION_BYTES if program is not None else 0
    argument = ffi.byref(_SockFprog(count, program)) if program is not None else None
    return call.make(
        lambda: (
            f"seccomp(SECCOMP_SET_MODE_FILTER, {constants.decode_flags(('SECCOMP_FILTER_FLAG_',), flags)}, "
            f"{count} instructions)"
        ),
        None,
        call.syscall,
        _NR_SECCOMP,
        constants.SECCOMP_SET_MODE_FILTER,
        flags,
        argument,
    )
