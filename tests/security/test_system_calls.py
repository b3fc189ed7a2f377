"""System calls after a container is entered: by descriptors opened before, or by openat2(2) below the root.

strace(1) shows each system call. A process is inside from pivot_root(2), or from setns(2) of a mount namespace,
until it executes a program; so are the processes that it forks meanwhile.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Pyctr

WITH_PATHS = (
    "access acct chdir chmod chown chroot creat execve faccessat faccessat2 fchmodat fchmodat2 fchownat fspick "
    "futimesat getxattr lchown lgetxattr link linkat listxattr llistxattr lremovexattr lsetxattr lstat mkdir "
    "mkdirat mknod mknodat mount mount_setattr move_mount name_to_handle_at newfstatat open open_tree openat "
    "openat2 pivot_root readlink readlinkat removexattr rename renameat renameat2 rmdir setxattr stat statfs "
    "statx swapon symlink symlinkat truncate umount2 unlink unlinkat utime utimensat"
).split()
"""The system calls that take a path."""
TRACED = [*WITH_PATHS, "clone", "clone3", "fork", "vfork", "setns", "execveat", "unshare"]
TRACE = "trace=" + ",".join("?" + name for name in TRACED)  # only the calls that strace knows on this architecture
CALL = re.compile(r"^(\d+) +(\w+)\((.*)$")
SAFE_CALLS = (
    'chdir("/")',
    'chdir(".")',
    'umount2(".", MNT_DETACH)',
    'mount(NULL, ".", NULL',
    'mount(NULL, "/", NULL',
    'statfs("/", ',
)
"""The root itself and the current directory: these paths contain no name that the container made."""


def calls_inside(trace: Path) -> Iterator[tuple[int, str, str]]:
    """Yield the pid, name and arguments of each call made inside."""
    inside: set[int] = set()
    for line in trace.read_text(errors="replace").splitlines():
        match = CALL.match(line)
        if match is None:
            resumed = re.match(r"^(\d+) +<\.\.\. (clone3?|v?fork) resumed>.* = (\d+)", line)
            if resumed and int(resumed[1]) in inside:
                inside.add(int(resumed[3]))
            continue
        pid, name, arguments = int(match[1]), match[2], match[3]
        if pid in inside:
            if name in ("execve", "execveat"):
                inside.discard(pid)
                if name == "execve":
                    yield pid, name, arguments
                continue
            yield pid, name, arguments
            child = re.search(r" = (\d+)$", arguments)
            if name in ("clone", "clone3", "fork", "vfork") and child:
                inside.add(int(child[1]))
        entered = name == "pivot_root" or (name == "setns" and "CLONE_NEWNS" in arguments)
        if entered and not re.search(r" = -1 ", arguments):
            inside.add(pid)


def violations(trace: Path) -> list[str]:
    """Return the calls inside that use a path which the container could redirect."""
    found = []
    for _, name, arguments in calls_inside(trace):
        text = f"{name}({arguments}"
        if name not in WITH_PATHS or text.startswith(SAFE_CALLS):
            continue
        if name == "openat2" and re.search(r"RESOLVE_(IN_ROOT|BENEATH)", arguments):
            continue
        if name == "execve":  # only by the first process, for files in its own overlay (runtime/program.py)
            continue
        paths = re.findall(r'"((?:[^"\\]|\\.)*)"', arguments)
        if name == "mount":  # source, target, type: the target counts, and the source of a bind
            paths = [path for path in paths[:2] if "/" in path]
        if name == "readlinkat":
            paths = paths[:1]
        beneath = (
            name.endswith("at") and not arguments.startswith("AT_FDCWD") and all("/" not in it for it in paths)
        )
        if any(paths) and not beneath:
            found.append(text)
    return found


@pytest.fixture
def traced(pyctr: Pyctr, tmp_path: Path, needs: Callable[[str], str]) -> Callable[..., Path]:
    """Return a function that runs a command under strace, and returns the trace: `traced("run", "--rm", …)`."""
    strace = needs("strace")

    def run(*args: str) -> Path:
        trace = tmp_path / "trace"
        command = [strace, "-f", "-v", "-s", "300", "-e", TRACE, "-o", str(trace)]
        done = subprocess.run(
            [*command, *pyctr.command(*args)],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=200,
        )
        assert done.returncode == 0 or "device or resource busy" in done.stderr, done.stderr
        return trace

    return run


RUNS = [
    ("run", "--rm", "busybox", "true"),
    ("run", "--rm", "-u", "1000", "-w", "/new/directory", "busybox", "sh", "-c", "true"),
    ("run", "--rm", "-v", "data:/data", "--tmpfs", "/t", "--read-only", "--init", "-m", "64m", "busybox", "true"),
    ("run", "--rm", "-t", "busybox", "true"),
    ("run", "--rm", "--userns", "auto", "-v", "data:/data", "busybox", "true"),
    ("run", "--rm", "--privileged", "--security-opt", "seccomp=unconfined", "busybox", "true"),
    ("run", "--rm", "--pid", "container:box", "busybox", "true"),
    ("exec", "box", "true"),
    ("exec", "-u", "nobody", "-w", "/tmp", "-e", "A=b", "box", "sh", "-c", "true"),
    ("exec", "-t", "box", "true"),
    ("exec", "-d", "box", "true"),
    ("exec", "--privileged", "box", "/bin/true"),
    ("cp", "box:/etc", "/nowhere"),
    ("cp", "/etc/passwd", "box:/tmp/"),
    ("cp", "/etc/passwd", "box:/etc/hosts"),  # refused: something is mounted there
    ("export", "box", "-o", "/dev/null"),
    ("commit", "box", "committed"),
    ("diff", "box"),
]


@pytest.mark.parametrize("args", RUNS, ids=lambda args: "_".join(args[:4]))
def test_no_file_inside_is_reached_by_a_path(
    pyctr: Pyctr, traced: Callable[..., Path], tmp_path: Path, args: tuple[str, ...]
) -> None:
    if "box" in str(args):
        pyctr("run", "-d", "--name", "box", "busybox", "sleep", "200", check=True)
    (tmp_path / "out").mkdir()
    trace = traced(*(str(tmp_path / "out") if arg == "/nowhere" else arg for arg in args))
    if args[0] in ("run", "exec"):
        assert list(calls_inside(trace)), "the trace does not show how the container was entered"
    assert violations(trace) == []


def test_a_health_check_reaches_no_file_inside_by_a_path(pyctr: Pyctr, traced: Callable[..., Path]) -> None:
    check = ("--health-cmd", "echo >>/looks", "--health-interval", "200ms")
    script = "until [ -e /looks ]; do sleep 0.1; done; sleep 0.5"
    trace = traced("run", "--rm", *check, "busybox", "sh", "-c", script)
    assert len({pid for pid, _, _ in calls_inside(trace)}) >= 3, "the check did not run"
    assert violations(trace) == []


def test_the_check_of_calls_finds_a_path_inside(tmp_path: Path) -> None:
    (tmp_path / "trace").write_text(
        '7 setns(3, CLONE_NEWNS) = 0\n7 openat(AT_FDCWD, "/etc/passwd", O_RDONLY) = 4\n'
        '7 clone(child_stack=NULL, flags=CLONE_PARENT|SIGCHLD) = 8\n8 stat("/proc/self/status", 0x1) = 0\n'
        '7 openat2(5, "/etc/group", {flags=O_PATH, mode=0, resolve=RESOLVE_IN_ROOT}, 24) = 6\n'
        '7 readlink("/x", "y", 9) = 1\n8 execveat(4, "", [], [], AT_EMPTY_PATH) = 0\n'
        '8 openat(AT_FDCWD, "/x", 0) = 3\n9 openat(AT_FDCWD, "/x", 0) = 3\n'
    )
    assert len(violations(tmp_path / "trace")) == 3
