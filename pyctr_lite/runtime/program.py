"""Finding and executing the container's program, in a root that may be hostile.

An image can name `/proc/self/exe` as its program or as a script's interpreter: the kernel would then run
our own interpreter inside, and the image would hold the host's file (CVE-2019-5736). So magic links are
refused on the way, and a script's interpreter is looked up here as the kernel does it. Where a process inside
could swap the file between the check and the exec, what was checked is what is executed, by its descriptor.
(A program that is executed by its path is named by it in `ps`; by a descriptor, by the file it leads to.)
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import time

from pyctr_lite import linux
from pyctr_lite.errors import ProgramError
from pyctr_lite.linux import explain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ELF_MACHINES = {3: "386", 40: "arm", 62: "amd64", 183: "arm64", 243: "riscv64", 22: "s390x", 21: "ppc64le"}
_OUR_MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


def find(name: str, env: list[str]) -> str:
    """The path of a program, looked up in PATH where it has no slash.

    Fails with ProgramError, 127 where there is none and 126 where it is not executable.
    """
    if not name:
        raise ProgramError('exec: "": executable file not found in $PATH', "its name is empty", 127)
    if "/" in name:
        _check_executable(name, name)
        return name
    search = next((item[5:] for item in env if item.startswith("PATH=")), DEFAULT_PATH)
    denied: ProgramError | None = None
    for directory in search.split(":"):
        path = os.path.join(directory or ".", name)
        try:
            _check_executable(name, path)
        except ProgramError as error:
            if error.exit_code == 126:
                denied = denied or error
            continue
        return path
    raise denied or ProgramError(
        f'exec: "{name}": executable file not found in $PATH',
        "look what the image has: run IMAGE ls /bin /usr/bin, or give the program's full path",
        127,
    )


def _check_executable(name: str, path: str) -> None:
    try:
        found = os.stat(path)
    except OSError as error:
        raise ProgramError(f'exec: "{name}": stat {path}: {_text(error)}', "is it in the image?", 127) from None
    if stat.S_ISDIR(found.st_mode):
        raise ProgramError(f'exec: "{name}": is a directory')
    if not os.access(path, os.X_OK, effective_ids=True):
        raise ProgramError(
            f'exec: "{name}": permission denied', f"its mode is {found.st_mode & 0o7777:04o}: chmod +x?"
        )


def execute(path: str, argv: list[str], env: list[str], confine: Callable[[], None], *, fresh: bool) -> None:
    """Execute a program; returns only by ProgramError. `confine` is called when only the exec is left.

    `fresh`: nothing else runs in this root yet.
    """
    try:
        fd, chain = _open_chain(path, argv)
        if fresh:
            os.close(fd)
            variables = dict(item.split("=", 1) for item in env if "=" in item)
            confine()
            _tell(path, argv)
            os.execve(path, argv, variables)
        confine()
        _tell(path, chain)
        linux.execveat(fd, chain, env)
    except OSError as error:
        hint = _architecture_hint(path) if error.errno == errno.ENOEXEC else ""
        if error.errno == errno.ENOENT:
            hint = "the file is there: its ELF interpreter or the one after #! is missing in the image"
        code = 127 if error.errno == errno.ENOENT else 126
        raise ProgramError(f'exec: "{path}": {_text(error)}', hint, code) from None


def _tell(path: str, argv: list[str]) -> None:
    if explain.sink is not None:  # before the call: it does not return
        explain.narrate(f'execve("{path}", {argv!r})', time.perf_counter_ns())


def _open_chain(path: str, argv: list[str], depth: int = 0) -> tuple[int, list[str]]:
    """The descriptor to execute and its arguments; scripts are followed to their interpreter (execve(2))."""
    if depth > 5:  # as many as the kernel follows
        raise OSError(errno.ELOOP, "too many interpreters", path)
    try:
        fd = linux.openat2(linux.AT_FDCWD, path, linux.O_PATH, 0, linux.RESOLVE_NO_MAGICLINKS)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise ProgramError(
                f'exec: "{path}": leads through a magic link of /proc', "an attack, or a mistake"
            ) from None
        raise
    try:
        script = linux.openat2(linux.AT_FDCWD, path, os.O_RDONLY | os.O_NONBLOCK, 0, linux.RESOLVE_NO_MAGICLINKS)
    except PermissionError:
        return fd, argv  # may be executed, not read: no script then
    try:
        head = os.read(script, 256) if stat.S_ISREG(os.fstat(script).st_mode) else b""
    finally:
        os.close(script)
    if not head.startswith(b"#!"):
        return fd, argv
    os.close(fd)
    words = os.fsdecode(head[2:].split(b"\n")[0]).strip(" \t").split(None, 1)
    if not words:
        raise OSError(errno.ENOEXEC, "no interpreter after #!", path)
    return _open_chain(words[0], [*words, path, *argv[1:]], depth + 1)


def _architecture_hint(path: str) -> str:
    try:
        with open(path, "rb") as file:
            head = file.read(20)
    except OSError:
        return ""
    if head[:4] != b"\x7fELF" or len(head) < 20:
        return "it is no program: a script needs a first line such as #!/bin/sh"
    (number,) = struct.unpack("<H" if head[5] == 1 else ">H", head[18:20])
    machine = _ELF_MACHINES.get(number, f"ELF machine {number}")
    return (
        f"it is made for {machine}, this machine is {_OUR_MACHINE}"
        if machine != _OUR_MACHINE
        else "the file is damaged"
    )


def _text(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else str(error)
