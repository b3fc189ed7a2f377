"""Capabilities and file system ids of the calling process: wrappers named as in section 2 of the manual."""

from __future__ import annotations

import errno
import os

from pyctr_lite.linux import call, constants, ffi

__all__ = ["capbset_read", "capget", "capset", "prctl_ambient", "setfsids"]

_NR_SETFSUID, _NR_SETFSGID = (151, 152) if os.uname().machine == "aarch64" else (122, 123)
_NR_CAPGET, _NR_CAPSET = (90, 91) if os.uname().machine == "aarch64" else (125, 126)


def setfsids(uid: int, gid: int) -> None:
    """Set the filesystem uid and gid of the calling thread (setfsgid(2), setfsuid(2)).

    Its capabilities stay in effect, although the kernel drops those for files when the uid changes from 0.
    Fails with EPERM without CAP_SETUID and CAP_SETGID.
    """
    for name, number, id in (("setfsgid", _NR_SETFSGID, gid), ("setfsuid", _NR_SETFSUID, uid)):
        call.make(lambda name=name, id=id: f"{name}({id})", None, call.syscall, number, id)  # type: ignore[misc]
        if call.syscall(number, id) != id:  # the call returns the previous id, even if it fails
            raise PermissionError(errno.EPERM, f"{name}({id}): {os.strerror(errno.EPERM)}")
    effective, permitted, inheritable = capget()
    if effective != permitted:
        capset(permitted, permitted, inheritable)


def capbset_read() -> int:
    """Return the caller's bounding set of capabilities as a bit mask (PR_CAPBSET_READ of prctl(2))."""
    held = 0
    for number in range(64):
        result = call.libc.prctl(constants.PR_CAPBSET_READ, number, 0, 0, 0)
        if result < 0:
            break  # EINVAL: the kernel has no capability with this number or a higher one
        held |= result << number
    return held


def prctl_ambient(operation: int, capability: int = 0) -> None:
    """Raise or clear ambient capabilities (PR_CAP_AMBIENT of prctl(2), capabilities(7))."""
    call.make(
        lambda: f"prctl(PR_CAP_AMBIENT, {constants.decode_value('PR_CAP_AMBIENT_', operation)}, {capability})",
        None,
        call.libc.prctl,
        constants.PR_CAP_AMBIENT,
        *(ffi.c_ulong(value) for value in (operation, capability, 0, 0)),
    )


class _CapabilityHeader(ffi.Structure):
    _fields_ = [("version", ffi.c_uint32), ("pid", ffi.c_int)]


_CapabilityData = ffi.c_uint32 * 6  # effective, permitted, inheritable; twice, for 64 bits


_CAPABILITY_VERSION_3 = 0x20080522


def capset(effective: int, permitted: int, inheritable: int) -> None:
    """Set the caller's capability sets, as bit masks (capset(2)). Fails with EPERM if it would add any."""
    data = _CapabilityData(
        *(mask >> shift & 0xFFFFFFFF for shift in (0, 32) for mask in (effective, permitted, inheritable))
    )
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    call.make(
        lambda: f"capset(effective={effective:#x}, permitted={permitted:#x}, inheritable={inheritable:#x})",
        None,
        call.syscall,
        _NR_CAPSET,
        ffi.byref(header),
        data,
    )


def capget() -> tuple[int, int, int]:
    """Return the caller's effective, permitted and inheritable capabilities, as bit masks (capget(2))."""
    data = _CapabilityData()
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    call.look("capget", None, call.syscall, _NR_CAPGET, ffi.byref(header), data)
    low, high = data[:3], data[3:]
    return low[0] | high[0] << 32, low[1] | high[1] << 32, low[2] | high[2] << 32
