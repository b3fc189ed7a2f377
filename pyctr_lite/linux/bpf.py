"""The part of bpf(2) that device rules of cgroup version 2 need: load, attach and replace a program."""

from __future__ import annotations

import os

from pyctr_lite.linux import call, ffi
from pyctr_lite.linux.scoped import closing

__all__ = ["BPF_INSTRUCTION_BYTES", "attach_device_program", "load_device_program", "replace_device_programs"]

BPF_INSTRUCTION_BYTES = 8

_NR_BPF = 280 if os.uname().machine == "aarch64" else 321
_PROG_LOAD, _PROG_ATTACH, _PROG_DETACH, _PROG_GET_FD_BY_ID, _PROG_QUERY = 5, 8, 9, 13, 16
_PROG_TYPE_CGROUP_DEVICE, _CGROUP_DEVICE, _F_ALLOW_MULTI = 15, 6, 2
_MAX_PROGRAMS = 64
"""The kernel's limit of programs per group (BPF_CGROUP_MAX_PROGS)."""


class _Load(ffi.Structure):
    _fields_ = [
        *((name, ffi.c_uint32) for name in ("prog_type", "insn_cnt")),
        *((name, ffi.c_uint64) for name in ("insns", "license")),
        *((name, ffi.c_uint32) for name in ("log_level", "log_size")),
        ("log_buf", ffi.c_uint64),
        *((name, ffi.c_uint32) for name in ("kern_version", "prog_flags")),
    ]


class _Attach(ffi.Structure):
    _fields_ = [(name, ffi.c_uint32) for name in ("target_fd", "attach_bpf_fd", "attach_type", "attach_flags")]


class _Query(ffi.Structure):
    _fields_ = [
        *((name, ffi.c_uint32) for name in ("target_fd", "attach_type", "query_flags", "attach_flags")),
        ("prog_ids", ffi.c_uint64),
        ("prog_cnt", ffi.c_uint32),
    ]


class _Id(ffi.Structure):
    _fields_ = [(name, ffi.c_uint32) for name in ("prog_id", "next_id", "open_flags")]


def load_device_program(instructions: bytes) -> int:
    """Load a program of type BPF_PROG_TYPE_CGROUP_DEVICE, and return its descriptor, for the caller to close.

    Fails with EINVAL or EACCES if the kernel's verifier rejects it, EPERM without CAP_BPF, ENOSYS if the kernel
    does not have bpf(2).
    """
    text = (ffi.c_char * len(instructions)).from_buffer_copy(instructions)
    license_text = ffi.c_char(b"\0")  # a program that calls no helper needs no license
    count = len(instructions) // BPF_INSTRUCTION_BYTES
    attributes = _Load(_PROG_TYPE_CGROUP_DEVICE, count, ffi.addressof(text), ffi.addressof(license_text))
    return _bpf(_PROG_LOAD, f"BPF_PROG_LOAD, BPF_PROG_TYPE_CGROUP_DEVICE, {count} instructions", attributes)


def attach_device_program(directory: str, program: int) -> None:
    """Attach a device program to a version 2 group and all groups below it, in addition to those attached already.

    Stays attached until the group is removed. Access needs the consent of all attached programs. Fails with EINVAL
    if the directory is not a group of version 2.
    """
    with closing(os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as group:
        text = f'BPF_PROG_ATTACH, "{directory}", BPF_CGROUP_DEVICE, BPF_F_ALLOW_MULTI'
        _bpf(_PROG_ATTACH, text, _Attach(group, program, _CGROUP_DEVICE, _F_ALLOW_MULTI), directory)


def replace_device_programs(directory: str, program: int) -> None:
    """Attach a device program to a group, then detach the group's earlier ones: no access goes unchecked."""
    with closing(os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as group:
        old = _programs_of(group)
        attach_device_program(directory, program)
        for id in old:
            with closing(_bpf(_PROG_GET_FD_BY_ID, "BPF_PROG_GET_FD_BY_ID", _Id(id))) as fd:
                text = f'BPF_PROG_DETACH, "{directory}", BPF_CGROUP_DEVICE'
                _bpf(_PROG_DETACH, text, _Attach(group, fd, _CGROUP_DEVICE), directory)


def _programs_of(group: int) -> list[int]:
    ids = (ffi.c_uint32 * _MAX_PROGRAMS)()
    query = _Query(group, _CGROUP_DEVICE, 0, 0, ffi.addressof(ids), _MAX_PROGRAMS)
    call.look("bpf(BPF_PROG_QUERY)", None, call.syscall, _NR_BPF, _PROG_QUERY, ffi.byref(query), ffi.sizeof(query))
    return list(ids[: query.prog_cnt])


def _bpf(command: int, text: str, attributes: ffi.Structure, path: str | None = None) -> int:
    size = ffi.sizeof(attributes)
    return call.make(lambda: f"bpf({text})", path, call.syscall, _NR_BPF, command, ffi.byref(attributes), size)
