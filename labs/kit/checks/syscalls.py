"""The system calls of a learner's function: the judge sees each, and refuses those that a check names.

The kernel stops the process at the calls that are watched, and asks the judge, who is outside of it
(seccomp_unotify(2)). So "the third openat fails with EIO" is as real for the function as a broken disk is.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

_RECEIVE, _SEND, _ID_VALID = 0xC0502100, 0xC0182101, 0x40082102
_CONTINUE = 1
_NOTIFICATION = struct.Struct("QIIiIQ6Q")
"""struct seccomp_notif: id, pid, flags, and struct seccomp_data."""
_ANSWER = struct.Struct("QqiI")
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000
_PATHS = {
    **dict.fromkeys(
        ("open", "mkdir", "rmdir", "unlink", "chdir", "chroot", "pivot_root", "umount2", "mknod"), (0,)
    ),
    **dict.fromkeys(("stat", "lstat", "readlink", "chmod", "lchown", "setxattr", "lsetxattr", "getxattr"), (0,)),
    **dict.fromkeys(("openat", "openat2", "mkdirat", "mknodat", "unlinkat", "fchmodat", "fchownat"), (1,)),
    **dict.fromkeys(("newfstatat", "statx", "readlinkat", "faccessat", "open_tree", "mount_setattr"), (1,)),
    **dict.fromkeys(("mount", "rename", "link", "symlink"), (0, 1)),
}
"""Which arguments of a call are paths."""
_OF_PYTHON = (".py", ".pyc", ".so", "/__pycache__", "/lib/python3", "/site-packages", "/locale.alias")


@dataclass(frozen=True)
class Fault:
    """The `nth` call of a name (from 1; 0 for each), of those with a path that ends so, gives this errno."""

    name: str
    errno: int
    nth: int = 0
    ending: str = ""

    def hits(self, seen: list[Call]) -> bool:
        """Whether the last of these calls is meant."""
        meant = [
            call for call in seen if call.name == self.name and (call.paths or ("",))[0].endswith(self.ending)
        ]
        return bool(meant) and meant[-1] is seen[-1] and self.nth in (0, len(meant))

    def __str__(self) -> str:
        which = f"call {self.nth} of {self.name}" if self.nth else f"each {self.name}"
        return f"{which} gives {errno.errorcode[self.errno]}"


@dataclass
class Call:
    """One call that was seen: its name, its six arguments, and those of them that are paths."""

    name: str
    args: tuple[int, ...]
    paths: tuple[str, ...] = ()


@dataclass
class Watch:
    """The calls to see, those to refuse, and what was seen. Names are those of the kernel's manual pages."""

    names: tuple[str, ...]
    faults: tuple[Fault, ...] = ()
    seen: list[Call] = field(default_factory=list)
    before: Callable[[Call], None] | None = None
    """Called with each call while the process waits in it: what another process does at that very moment."""

    def program(self) -> bytes:
        """The filter: the watched calls are stopped for the judge, all others made (bpf(2), classic)."""
        numbers = sorted(numbers_of(self.names))
        lines = [(0x20, 0, 0, 0)]  # the number of the call
        for index, number in enumerate(numbers):
            lines.append((0x15, len(numbers) - index, 0, number))
        lines += [(0x06, 0, 0, _ALLOW), (0x06, 0, 0, _NOTIFY)]
        return b"".join(struct.pack("HBBI", *line) for line in lines)

    def serve(self, listener: int) -> None:
        """Answer one notification that is ready."""
        buffer = bytearray(_NOTIFICATION.size)
        try:
            fcntl.ioctl(listener, _RECEIVE, buffer)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINTR):
                return  # the process was killed meanwhile
            raise
        id, pid, _, number, _, _, *args = _NOTIFICATION.unpack(buffer)
        name = names_by_number()[number]
        paths = _paths(pid, name, args)
        refused = 0
        if not any(part in path for path in paths for part in _OF_PYTHON):
            self.seen.append(Call(name, tuple(args), paths))
            refused = next((one.errno for one in self.faults if one.hits(self.seen)), 0)
            if self.before:
                self.before(self.seen[-1])
        answer = bytearray(_ANSWER.pack(id, 0, -refused, 0 if refused else _CONTINUE))
        try:
            fcntl.ioctl(listener, _SEND, answer)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise


def _paths(pid: int, name: str, args: list[int]) -> tuple[str, ...]:
    return tuple(_text(pid, args[index]) for index in _PATHS.get(name, ()) if args[index])


def _text(pid: int, address: int) -> str:
    """A string in the memory of a process; one at the end of a page is read to its end."""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        text = b""
        while b"\0" not in text and len(text) < 4096:
            size = 4096 - (address + len(text)) % 4096
            try:
                text += os.pread(memory.fileno(), size, address + len(text))
            except OSError:
                break
    return os.fsdecode(text.partition(b"\0")[0])


@cache
def names_by_number() -> dict[int, str]:
    """This machine's names of the system calls that can be watched."""
    return {number: name for name in WATCHABLE for number in numbers_of((name,))}


def numbers_of(names: tuple[str, ...]) -> set[int]:
    """The numbers of system calls; a name that this machine does not have is left out."""
    return {number for name in names if (number := _resolve(name)) >= 0}


@cache
def _resolve(name: str) -> int:
    from pyctr_lite import thirdparty

    thirdparty.enable()
    import pyseccomp

    try:
        return int(pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name))
    except (ValueError, OSError):
        return -1


FILES: tuple[str, ...] = (
    *("open", "openat", "openat2", "mkdir", "mkdirat", "mknod", "mknodat", "unlink", "unlinkat", "rmdir"),
    *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "chmod", "fchmod", "fchmodat"),
    *("chown", "fchown", "lchown", "fchownat", "utimensat", "setxattr", "lsetxattr", "fsetxattr", "truncate"),
)
READS: tuple[str, ...] = (
    *("read", "pread64", "getdents64", "readlink", "readlinkat", "stat", "lstat", "newfstatat", "statx", "fstat"),
    *("getxattr", "lgetxattr", "fgetxattr", "listxattr", "llistxattr", "flistxattr", "faccessat", "faccessat2"),
    *("statfs", "fstatfs"),
)
WRITES: tuple[str, ...] = ("write", "pwrite64", "writev", "sendfile", "copy_file_range", "ftruncate")
MOUNTS: tuple[str, ...] = (
    *("mount", "umount2", "pivot_root", "open_tree", "move_mount", "mount_setattr", "chroot"),
)
PROCESSES: tuple[str, ...] = (
    *("clone", "clone3", "fork", "vfork", "execve", "execveat", "unshare", "setns", "kill", "tgkill"),
    *("pidfd_open", "pidfd_send_signal", "wait4", "waitid", "setuid", "setgid", "setgroups", "chdir", "fchdir"),
)
OTHERS: tuple[str, ...] = (
    "socket",
    "ioctl",
    "flock",
    "fcntl",
    "close",
    "dup",
    "dup2",
    "dup3",
    "fsync",
    "fdatasync",
)
WATCHABLE = (*FILES, *READS, *WRITES, *MOUNTS, *PROCESSES, *OTHERS)
