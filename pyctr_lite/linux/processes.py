"""System calls for processes and namespaces: one thin wrapper each, named as in section 2 of the manual."""

from __future__ import annotations

import os
import time

from pyctr_lite.linux import call, constants, explain, ffi
from pyctr_lite.linux.constants import decode_flags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "clone3",
    "close_all_but",
    "close_range",
    "default_signal",
    "execveat",
    "fork_sibling",
    "join_session_keyring",
    "key_permissions",
    "may_execute",
    "personality",
    "pidfd_getfd",
    "prctl",
    "revoke_key",
    "set_key_permissions",
    "setdomainname",
    "sethostname",
    "setns",
    "signalfd",
    "timerfd_create",
    "timerfd_settime",
    "unshare",
]

_NR_CLONE3, _NR_CLOSE_RANGE, _NR_FACCESSAT2, _NR_PIDFD_GETFD = 435, 436, 439, 438
_NR_CLONE = 220 if os.uname().machine == "aarch64" else 56
_NR_KEYCTL, _NR_PERSONALITY, _NR_SIGNALFD4 = (219, 92, 74) if os.uname().machine == "aarch64" else (250, 135, 289)
_NR_TIMERFD_CREATE, _NR_TIMERFD_SETTIME = (85, 86) if os.uname().machine == "aarch64" else (283, 286)
_NR_EXECVEAT, _NR_RT_SIGACTION = (281, 134) if os.uname().machine == "aarch64" else (322, 13)


class _CloneArgs(ffi.Structure):
    _fields_ = [
        (name, ffi.c_uint64)
        for name in (
            "flags",
            "pidfd",
            "child_tid",
            "parent_tid",
            "exit_signal",
            "stack",
            "stack_size",
            "tls",
            "set_tid",
            "set_tid_size",
            "cgroup",
        )
    ]


def clone3(flags: int, cgroup_fd: int | None = None, exit_signal: int = 17) -> tuple[int, int]:
    """Fork into new namespaces (clone3(2)). Returns `(pid, pidfd)` in the parent, `(0, -1)` in the child.

    `flags` are CLONE_NEW*; with `cgroup_fd` the child starts in that version 2 cgroup.
    Only for a process with one thread. Fails with EPERM without CAP_SYS_ADMIN, ENOSPC if a limit of
    /proc/sys/user is reached.
    """
    pidfd = ffi.c_int(-1)
    args = _CloneArgs(flags | constants.CLONE_PIDFD, ffi.addressof(pidfd), exit_signal=exit_signal)
    if cgroup_fd is not None:
        args.flags |= constants.CLONE_INTO_CGROUP
        args.cgroup = cgroup_fd
    began = time.perf_counter_ns()
    pid: int = call.syscall(_NR_CLONE3, ffi.byref(args), ffi.sizeof(args))
    if pid == 0:
        return 0, -1
    if explain.sink is not None:
        number = ffi.get_errno()
        explain.narrate(f"clone3({decode_flags(('CLONE_',), flags)}, SIGCHLD)", began, pid)
        ffi.set_errno(number)
    if pid < 0:
        call.fail(f"clone3({decode_flags(('CLONE_',), flags)})")
    return pid, pidfd.value


def fork_sibling() -> int:
    """Fork a child of the caller's own parent (clone(2), CLONE_PARENT). Returns its pid, or 0 in the child.

    Uses the older call: a seccomp filter may refuse clone3(2), whose flags it cannot inspect. Only for a process
    with one thread. Fails with EAGAIN at the limit of the pids controller or RLIMIT_NPROC.
    """
    began = time.perf_counter_ns()
    arguments = (constants.CLONE_PARENT | 17, 0, 0, 0, 0)
    pid: int = call.syscall(_NR_CLONE, *(ffi.c_ulong(value) for value in arguments))
    if pid < 0:
        call.fail("clone(CLONE_PARENT|SIGCHLD)")
    if pid and explain.sink is not None:
        explain.narrate("clone(CLONE_PARENT|SIGCHLD)", began, pid)
    return pid


def may_execute(fd: int) -> bool:
    """Return whether the caller may execute an open file (faccessat2(2), X_OK).

    Uses the effective ids and capabilities (AT_EACCESS).
    """
    flags = constants.AT_EMPTY_PATH | constants.AT_EACCESS
    result: int = call.syscall(_NR_FACCESSAT2, fd, b"", os.X_OK, flags)
    return result == 0


def pidfd_getfd(pidfd: int, number: int) -> int:
    """Return a copy of another process's descriptor, close-on-exec (pidfd_getfd(2)).

    Fails with EPERM if the caller may not trace the process, EBADF if it has no such descriptor.
    """
    return call.look("pidfd_getfd", None, call.syscall, _NR_PIDFD_GETFD, pidfd, number, 0)


def unshare(flags: int) -> None:
    """Move the caller into new namespaces (unshare(2)); CLONE_NEWPID and CLONE_NEWTIME affect only later children.

    Fails with EINVAL for CLONE_NEWUSER in a process with several threads.
    """
    call.make(lambda: f"unshare({decode_flags(('CLONE_',), flags)})", None, call.libc.unshare, flags)


def setns(fd: int, flags: int = 0) -> None:
    """Join the namespace of a /proc/<pid>/ns/* descriptor, or namespaces of a pidfd's process (setns(2))."""
    call.make(lambda: f"setns({fd}, {decode_flags(('CLONE_',), flags)})", None, call.libc.setns, fd, flags)


def execveat(fd: int, argv: Sequence[str], env: Sequence[str]) -> None:
    """Execute an open file (execveat(2), AT_EMPTY_PATH). Does not return unless it raises OSError."""
    arguments = (ffi.c_char_p * (len(argv) + 1))(*[os.fsencode(item) for item in argv], None)
    variables = (ffi.c_char_p * (len(env) + 1))(*[os.fsencode(item) for item in env], None)
    call.make(
        lambda: f"execveat({fd}, {' '.join(argv)!r})",
        None,
        call.syscall,
        _NR_EXECVEAT,
        fd,
        b"",
        arguments,
        variables,
        constants.AT_EMPTY_PATH,
    )


def close_all_but(keep: set[int]) -> None:
    """Close every descriptor from 3 on, except `keep`: a long-lived process must not hold its caller's."""
    low = 3
    for fd in sorted(keep):
        if fd >= low:
            os.closerange(low, fd)
            low = fd + 1
    os.closerange(low, 1 << 20)  # the default of fs.nr_open


def close_range(first: int, flags: int = 0) -> None:
    """Close all descriptors from `first` up, or with CLOSE_RANGE_CLOEXEC at the next exec (close_range(2))."""
    call.make(
        lambda: f"close_range({first}, ~0, {decode_flags(('CLOSE_RANGE_',), flags)})",
        None,
        call.syscall,
        _NR_CLOSE_RANGE,
        ffi.c_uint(first),
        ffi.c_uint(0xFFFFFFFF),
        flags,
    )


def default_signal(number: int) -> None:
    """Reset a signal (1 to 64) to its default action (rt_sigaction(2)), also 32 and 33, which libc refuses.

    Fails with EINVAL for SIGKILL and SIGSTOP, whose action cannot change.
    """
    call.look("rt_sigaction", None, call.syscall, _NR_RT_SIGACTION, number, _SIG_DFL, None, ffi.c_size_t(8))


_SIG_DFL = bytes(32)
"""The kernel's struct sigaction: SIG_DFL, no flags, no restorer, an empty mask."""


def personality(persona: int) -> None:
    """Set the caller's execution domain and flags such as ADDR_NO_RANDOMIZE (personality(2)). 0 is plain Linux."""
    call.make(lambda: f"personality({persona:#x})", None, call.syscall, _NR_PERSONALITY, ffi.c_ulong(persona))


def signalfd(numbers: Iterable[int]) -> int:
    """Open a descriptor for reading blocked signals: 128 bytes each, the number first (signalfd(2))."""
    mask = ffi.c_uint64(sum(1 << number - 1 for number in numbers))
    return call.look(
        "signalfd4", None, call.syscall, _NR_SIGNALFD4, -1, ffi.byref(mask), ffi.c_size_t(8), os.O_CLOEXEC
    )


def timerfd_create(clock: int) -> int:
    """Open a descriptor that becomes readable when a timer expires; it does not block (timerfd_create(2))."""
    return call.look("timerfd_create", None, call.syscall, _NR_TIMERFD_CREATE, clock, os.O_NONBLOCK | os.O_CLOEXEC)


def timerfd_settime(fd: int, seconds: float, flags: int = 0) -> None:
    """Start a timer that expires once: after some seconds, or with flag 1 (TFD_TIMER_ABSTIME) at that time.

    Source: timerfd_create(2).
    """
    whole = int(seconds)
    setting = (ffi.c_uint64 * 4)(0, 0, whole, max(1, int((seconds - whole) * 1e9)))  # no interval; s, ns
    call.look("timerfd_settime", None, call.syscall, _NR_TIMERFD_SETTIME, fd, flags, setting, None)


def join_session_keyring(name: str = "") -> int:
    """Replace the caller's session keyring, and return the other's serial number (keyctl_join_session_keyring(3)).

    It is a keyring of the caller's user namespace that has this name and that the caller may search, else a new,
    empty one; without a name always a new one. Fails with ENOSYS if the kernel does not have keys, EPERM under a
    seccomp filter, EDQUOT with too many keys.
    """
    given = call.encoded(name or None)
    return call.make(
        lambda: f"keyctl(KEYCTL_JOIN_SESSION_KEYRING, {call.quoted(name or None)})",
        None,
        call.syscall,
        _NR_KEYCTL,
        _KEYCTL_JOIN,
        given,
    )


def key_permissions(serial: int) -> int:
    """Return the permissions of a key: a byte each for possessor, user, group, others (keyctl_describe(3))."""
    text = (ffi.c_char * 4096)()
    call.look("keyctl", None, call.syscall, _NR_KEYCTL, _KEYCTL_DESCRIBE, serial, text, ffi.c_size_t(len(text)))
    return int(bytes(text).split(b";")[3], 16)


def set_key_permissions(serial: int, permissions: int) -> None:
    """Set the permissions of a key, as `key_permissions` returns them (keyctl_setperm(3))."""
    shown = f"keyctl(KEYCTL_SETPERM, {serial}, {permissions:#010x})"
    call.make(lambda: shown, None, call.syscall, _NR_KEYCTL, _KEYCTL_SETPERM, serial, ffi.c_uint(permissions))


def revoke_key(serial: int) -> None:
    """Make a key unusable for everyone, and a keyring impossible to find by its name (keyctl_revoke(3))."""
    call.make(lambda: f"keyctl(KEYCTL_REVOKE, {serial})", None, call.syscall, _NR_KEYCTL, _KEYCTL_REVOKE, serial)


_KEYCTL_JOIN, _KEYCTL_REVOKE, _KEYCTL_SETPERM, _KEYCTL_DESCRIBE = 1, 3, 5, 6


def sethostname(name: str) -> None:
    """Set the host name of the caller's UTS namespace (sethostname(2)). Fails with EINVAL above 64 bytes."""
    encoded = name.encode()
    call.make(
        lambda: f"sethostname({call.quoted(name)})",
        None,
        call.libc.sethostname,
        encoded,
        ffi.c_size_t(len(encoded)),
    )


def setdomainname(name: str) -> None:
    """Set the NIS domain name of the caller's UTS namespace (setdomainname(2))."""
    encoded = name.encode()
    call.make(
        lambda: f"setdomainname({call.quoted(name)})",
        None,
        call.libc.setdomainname,
        encoded,
        ffi.c_size_t(len(encoded)),
    )


def prctl(option: int, argument: int = 0) -> int:
    """Operate on the calling process (prctl(2)); `option` is PR_*."""
    return call.make(
        lambda: f"prctl({constants.decode_value('PR_', option)}, {argument})",
        None,
        call.libc.prctl,
        option,
        *(ffi.c_ulong(value) for value in (argument, 0, 0, 0)),
    )
