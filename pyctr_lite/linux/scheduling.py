"""CPU scheduling, I/O priority and memory policy: wrappers named as in section 2 of the manual."""

from __future__ import annotations

import os

from pyctr_lite.linux import call, ffi

_ARM = os.uname().machine == "aarch64"
_NR_SCHED_SETATTR, _NR_IOPRIO_SET, _NR_SET_MEMPOLICY = (274, 30, 237) if _ARM else (314, 251, 238)

_IOPRIO_WHO_PROCESS, _IOPRIO_CLASS_SHIFT = 1, 13


class SchedAttr(ffi.Structure):
    """The kernel's struct sched_attr (include/uapi/linux/sched/types.h); times are in nanoseconds."""

    _fields_ = [
        ("size", ffi.c_uint32),
        ("sched_policy", ffi.c_uint32),
        ("sched_flags", ffi.c_uint64),
        ("sched_nice", ffi.c_int),
        ("sched_priority", ffi.c_uint32),
        ("sched_runtime", ffi.c_uint64),
        ("sched_deadline", ffi.c_uint64),
        ("sched_period", ffi.c_uint64),
    ]


def sched_setattr(pid: int, attr: SchedAttr) -> None:
    """Set the scheduling policy and attributes of a process, 0 for the caller (sched_setattr(2)).

    Fails with EPERM without CAP_SYS_NICE, or for SCHED_DEADLINE if the process may not run on every CPU.
    """
    attr.size = ffi.sizeof(attr)
    call.make(
        lambda: f"sched_setattr({pid}, policy={attr.sched_policy}, nice={attr.sched_nice})",
        None,
        call.syscall,
        _NR_SCHED_SETATTR,
        pid,
        ffi.byref(attr),
        0,
    )


def ioprio_set(pid: int, io_class: int, level: int) -> None:
    """Set the I/O priority of a process, 0 for the caller; later children inherit it (ioprio_set(2)).

    `io_class` is 1 (real time), 2 (best effort) or 3 (idle), `level` 0 (highest) to 7. Fails with EPERM without
    CAP_SYS_NICE or CAP_SYS_ADMIN for real time.
    """
    call.make(
        lambda: f"ioprio_set(IOPRIO_WHO_PROCESS, {pid}, class={io_class}, level={level})",
        None,
        call.syscall,
        _NR_IOPRIO_SET,
        _IOPRIO_WHO_PROCESS,
        pid,
        io_class << _IOPRIO_CLASS_SHIFT | level,
    )


def set_mempolicy(mode: int, nodes: set[int]) -> None:
    """Set the NUMA memory policy of the caller, its later children and programs (set_mempolicy(2)).

    `mode` is MPOL_* with MPOL_F_* flags. Fails with EINVAL if mode and nodes do not fit, or no node exists.
    """
    words = (max(nodes) // 64 + 1) if nodes else 0
    mask = (ffi.c_ulong * words)(
        *(sum(1 << node % 64 for node in nodes if node // 64 == word) for word in range(words))
    )
    # The kernel reads one bit less than the count says (mm/mempolicy.c, get_nodes).
    call.make(
        lambda: f"set_mempolicy({mode:#x}, {sorted(nodes)})",
        None,
        call.syscall,
        _NR_SET_MEMPOLICY,
        mode,
        mask if nodes else None,
        ffi.c_ulong(words * 64 + 1 if nodes else 0),
    )
