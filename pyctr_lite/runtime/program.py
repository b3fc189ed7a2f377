"""The container's program, found and executed in a root that may be hostile.

An image can name `/proc/self/exe` as its program or as a script's interpreter: the kernel would run the host's
Python interpreter inside, and the image would hold a descriptor of the host's file (CVE-2019-5736). So magic links
on the path are refused, and a script's interpreter is looked up here as the kernel does it. The file that was
checked is executed by its descriptor, which the exec closes: so the kernel refuses (ENOENT) a file that has since
become a script.

A process that was executed by a descriptor is named in `ps` after the file at the end of all links (before Linux
6.14 after the descriptor's number). So a program is executed by its path if no other process can reach the files
that the path leads through: they lie in the new container's own overlay, not in a volume.
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
from pyctr_lite.rootfs import target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_MAX_CHAIN = 6
"""The program and five interpreters: as many as the kernel follows (fs/exec.c)."""
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ELF_MACHINES = {3: "386", 40: "arm", 62: "amd64", 183: "arm64", 243: "riscv64", 22: "s390x", 21: "ppc64le"}
_OUR_MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


class Program:
    """A program, opened as the user who is to run it."""

    __slots__ = ("argv", "by_path", "chain", "fd", "path", "scripts")

    def __init__(self, path: str, argv: list[str]) -> None:
        self.path, self.argv = path, argv
        self.fd = -1
        """The file to execute: the program, or the interpreter that the last of `scripts` names."""
        self.chain = argv
        """The arguments for `fd`."""
        self.scripts: list[int] = []
        self.by_path = False

    def execute(self, env: list[str], confine: Callable[[], None]) -> None:
        """Execute the program. Returns only by ProgramError. `confine` is called right before the exec."""
        try:
            environ = variables(env)
            confine()
            if explain.sink is not None:  # before the call, which does not return
                explain.narrate(f'execve("{self.path}", {self.argv!r})', time.perf_counter_ns())
            if self.by_path:
                os.execve(self.path, self.argv, environ)
            linux.execveat(self.fd, self.chain, env)
        except OSError as error:
            raise self.failure(error) from None

    def failure(self, error: OSError) -> ProgramError:
        """Return the error for a program that cannot be opened or executed."""
        hint = _architecture_hint(self.fd) if error.errno == errno.ENOEXEC else ""
        if error.errno == errno.ENOENT:
            hint = "the file exists: its ELF interpreter, or the interpreter after #!, is missing in the image"
        code = 127 if error.errno == errno.ENOENT else 126
        return ProgramError(f"exec {self.path}: {_text(error)}", hint, code)


def find(root_fd: int, cwd: str, name: str, env: list[str]) -> str:
    """Return the path of a program in the root, looked up in PATH if its name has no slash.

    `cwd` is the working directory, without links. Raises ProgramError: 127 if there is no such file, 126 if it is
    not executable.
    """
    if not name:
        raise ProgramError('exec: "": executable file not found in $PATH', "its name is empty", 127)
    if "/" in name:
        _check_executable(root_fd, cwd, name, name)
        return name
    search = next((item[5:] for item in env if item.startswith("PATH=")), DEFAULT_PATH)
    denied: ProgramError | None = None
    for directory in search.split(":"):
        path = os.path.join(directory or ".", name)
        try:
            _check_executable(root_fd, cwd, name, path)
        except ProgramError as error:
            if error.exit_code == 126:
                denied = denied or error
            continue
        return path
    raise denied or ProgramError(
        f'exec: "{name}": executable file not found in $PATH',
        "list what the image contains: pyctr_lite run IMAGE ls /bin /usr/bin, or give the program's full path",
        127,
    )


def with_home(root_fd: int, env: list[str], uid: int) -> list[str]:
    """Return the environment with each variable once, and HOME from the root's own /etc/passwd unless it is set.

    The last value of a variable counts; an empty HOME counts as none (so does runc).
    """
    last = {item.partition("=")[0]: item for item in env}
    if last.get("HOME", "HOME=") != "HOME=":
        return list(last.values())
    last.pop("HOME", None)
    env, home = list(last.values()), "/"
    for line in target.read_text(root_fd, "/etc/passwd").splitlines():
        fields = line.split(":")
        if len(fields) >= 6 and fields[2] == str(uid):
            home = fields[5] or "/"
            break
    return [*env, f"HOME={home}"]


def variables(env: list[str]) -> dict[str, str]:
    """Return an environment as a dictionary. Of several values of a variable the last counts."""
    return dict(item.split("=", 1) for item in env if "=" in item)


def open_program(root_fd: int, cwd: str, path: str, argv: list[str], unchanging: str | None = None) -> Program:
    """Open a program that `find` has found, and follow scripts to their interpreters as execve(2) does.

    `unchanging` is None if another process can reach the root's file system; else the path of a file on another
    mount that no process inside can change, or "". Raises ProgramError.
    """
    program = Program(path, argv)
    program.by_path = unchanging is not None
    try:
        _open_chain(root_fd, cwd, program, unchanging or "")
        # Only of the scripts: the kernel checks the permission for the file that it executes.
        if not all(linux.may_execute(fd) for fd in program.scripts):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
    except OSError as error:
        raise program.failure(error) from None
    return program


def _check_executable(root_fd: int, cwd: str, name: str, path: str) -> None:
    try:
        with linux.closing(target.open_in_root(root_fd, os.path.join(cwd, path))) as fd:
            mode = os.fstat(fd).st_mode
    except OSError as error:
        if _is_magic(error, root_fd, os.path.join(cwd, path)):
            raise _magic(path) from None
        raise ProgramError(f'exec: "{name}": stat {path}: {_text(error)}', "is it in the image?", 127) from None
    if stat.S_ISDIR(mode):
        raise ProgramError(f'exec: "{name}": is a directory')
    if not mode & 0o111:
        raise ProgramError(f'exec: "{name}": permission denied', f"its mode is {mode & 0o7777:04o}: chmod +x?")


def _open_chain(root_fd: int, cwd: str, program: Program, unchanging: str) -> None:
    path = program.path
    for _ in range(_MAX_CHAIN):
        program.fd, readable = _open(root_fd, os.path.join(cwd, path))
        if program.by_path:
            checked = os.path.dirname(path) if path == unchanging else path
            program.by_path = _is_on_root(root_fd, os.path.join(cwd, checked))
        regular = readable and stat.S_ISREG(os.fstat(program.fd).st_mode)
        head = os.pread(program.fd, 256, 0) if regular else b""
        if not head.startswith(b"#!"):
            return
        args = os.fsdecode(head[2:].split(b"\n")[0]).strip(" \t").split(None, 1)
        if not args:
            raise OSError(errno.ENOEXEC, "no interpreter after #!", path)
        program.scripts.append(program.fd)
        program.chain = [*args, path, *program.chain[1:]]
        path = args[0]
    raise OSError(errno.ELOOP, "too many interpreters", path)


def _open(root_fd: int, path: str) -> tuple[int, bool]:
    """Return a descriptor of a file to execute, and whether the caller can read it."""
    try:
        try:
            return target.open_in_root(root_fd, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY), True
        except PermissionError:
            return target.open_in_root(root_fd, path), False
    except OSError as error:
        if _is_magic(error, root_fd, path):
            raise _magic(path) from None
        raise


def _is_on_root(root_fd: int, path: str) -> bool:
    """Return whether a path crosses no mount point (RESOLVE_NO_XDEV)."""
    resolve = linux.RESOLVE_IN_ROOT | linux.RESOLVE_NO_MAGICLINKS | linux.RESOLVE_NO_XDEV
    try:
        os.close(linux.openat2(root_fd, path, linux.O_PATH, 0, resolve))
    except OSError:
        return False
    return True


def _is_magic(error: OSError, root_fd: int, path: str) -> bool:
    """Return whether a path could not be opened because it leads through a magic link such as /proc/self.

    /proc/self does not exist (ENOENT) for a process outside the pid namespace that /proc shows, so the path's
    links are followed here, as far as that name.
    """
    done, left, links = "/", path.split("/")[::-1], 40
    while error.errno == errno.ENOENT and left and links:
        part = left.pop()
        if part in ("", "."):
            continue
        done = os.path.dirname(done) if part == ".." else os.path.join(done, part)
        if done in ("/proc/self", "/proc/thread-self"):
            return True
        if link := _read_link(root_fd, done):
            links -= 1
            done = "/" if link.startswith("/") else os.path.dirname(done)
            left += link.split("/")[::-1]
    return error.errno == errno.ELOOP


def _read_link(root_fd: int, path: str) -> str:
    """Return the target of a symbolic link in the root, "" for any other file or none."""
    try:
        fd = target.open_in_root(root_fd, path, linux.O_PATH | os.O_NOFOLLOW)
    except OSError:
        return ""
    with linux.closing(fd):
        return os.readlink("", dir_fd=fd) if stat.S_ISLNK(os.fstat(fd).st_mode) else ""


def _magic(path: str) -> ProgramError:
    return ProgramError(
        f'exec: "{path}": the path leads through a magic link of /proc, or in a circle', "an attack, or a mistake"
    )


def _architecture_hint(fd: int) -> str:
    try:
        head = os.pread(fd, 20, 0)
    except OSError:
        return ""
    if head[:4] != b"\x7fELF" or len(head) < 20:
        return "not an ELF binary, and no #! line: scripts need one, such as #!/bin/sh"
    (number,) = struct.unpack("<H" if head[5] == 1 else ">H", head[18:20])
    machine = _ELF_MACHINES.get(number, f"ELF machine {number}")
    return (
        f"it is built for {machine}, this machine is {_OUR_MACHINE}"
        if machine != _OUR_MACHINE
        else "the file is damaged"
    )


def _text(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else str(error)
