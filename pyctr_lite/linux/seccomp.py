"""Filters of system calls (seccomp(2)): a classic BPF program that the kernel asks at every call."""

from __future__ import annotations

import ctypes
import os

from pyctr_lite.linux import call, constants

_NR_SECCOMP = 277 if os.uname().machine == "aarch64" else 317
INSTRUCTION = 8
"""Bytes of a struct sock_filter."""


class _SockFprog(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def set_mode_filter(program: bytes, flags: int = 0) -> None:
    """Put every later system call of the caller, and of what it starts and executes, under a program.

    Fails with EACCES for a caller with neither no_new_privs nor CAP_SYS_ADMIN in its user namespace, EINVAL for
    a program that the kernel does not accept. Nothing takes it away again.
    """
    count = len(program) // INSTRUCTION
    argument = _SockFprog(count, program)
    call.make(
        lambda: (
            f"seccomp(SECCOMP_SET_MODE_FILTER, {constants.decode_flags(('SECCOMP_FILTER_FLAG_',), flags)}, "
            f"{count} instructions)"
        ),
        None,
        call.syscall,
        _NR_SECCOMP,
        constants.SECCOMP_SET_MODE_FILTER,
        flags,
        ctypes.byref(argument),
    )
