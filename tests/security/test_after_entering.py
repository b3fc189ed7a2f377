"""System calls after a container is entered, and on its files from outside, as strace sees them.

A path that is opened after entering is the container's to answer: nothing is read or changed by it, except through
openat2(2) without magic links. What is copied or committed is reached from a descriptor, one name at a time and
without following links, or through openat2 beneath the root.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import SLOWNESS, Pyctr

CALL = re.compile(r"^(\d+) +(?:<\.\.\. )?(\w+)(?: resumed>|\()(.*)$")
BORN = re.compile(r"(?:clone3?|v?fork)\(.* = (\d+)$")
CHANGES = frozenset(
    "chmod fchmodat chown lchown fchownat mkdir mkdirat mknod mknodat unlink unlinkat rmdir rename renameat link "
    "renameat2 linkat symlink symlinkat truncate setxattr lsetxattr removexattr utime utimes utimensat creat open "
    "bind connect".split()
)
"""Calls that change a file by its path, or open it in ways that cannot be limited."""


@pytest.fixture
def traced(pyctr: Pyctr, tmp_path: Path, needs: Callable[[str], str]) -> Callable[..., list[tuple[int, str, str]]]:
    """`traced("run", …)` runs a command to the end of all its processes: pid, name and arguments of each call."""
    strace = needs("strace")

    def run(
        *words: str, until: Callable[[], None] = lambda: None, program: str = ""
    ) -> list[tuple[int, str, str]]:
        log = tmp_path / "trace"
        calls = "trace=%file,setns,pivot_root,chroot,unshare,clone,clone3,fork,vfork,connect,bind"
        command = [
            strace,
            "-f",
            "-y",
            "-s",
            "300",
            "-e",
            calls,
            "-o",
            str(log),
            *([program, *words] if program else pyctr.command(*words)),
        ]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            until()
            assert process.wait(timeout=60 * SLOWNESS) == 0, process.stderr.read()  # type: ignore[union-attr]
        return list(_calls(log.read_text(errors="replace")))

    return run


def _calls(text: str) -> Iterator[tuple[int, str, str]]:
    begun: dict[str, str] = {}
    for line in text.splitlines():
        if line.endswith("<unfinished ...>"):
            begun[line.split()[0]] = line.removesuffix("<unfinished ...>").partition("(")[2]
            continue
        if found := CALL.match(line):
            pid, name, rest = found.groups()
            yield int(pid), name, (begun.pop(pid, "") if " resumed>" in line else "") + rest


def after_entering(calls: list[tuple[int, str, str]]) -> list[tuple[str, str]]:
    """Return the calls of processes whose root or mount namespace is the container's, up to their exec."""
    inside: set[int] = set()
    found = []
    for pid, name, rest in calls:
        if pid in inside:
            found.append((name, rest))
            if born := BORN.search(f"{name}({rest}"):
                inside.add(int(born[1]))
        entered = name in ("pivot_root", "chroot") or (name == "setns" and ("<mnt:" in rest or "NEWNS" in rest))
        if entered and rest.endswith("= 0"):
            inside.add(pid)
        if name in ("execve", "execveat") and rest.endswith("= 0"):
            inside.discard(pid)
    return found


def forbidden(calls: list[tuple[str, str]]) -> list[str]:
    wrong = []
    for name, rest in calls:
        call = f"{name}({rest}"
        by_path = name in CHANGES or (name == "openat" and "O_PATH" not in rest)
        limited = "RESOLVE_NO_MAGICLINKS" in rest and '"/proc' not in rest and '"/sys' not in rest
        if by_path or (name == "openat2" and not limited):
            wrong.append(call)
    return wrong


@pytest.mark.parametrize("call", ["open('/etc/passwd')", "os.mkdir('/new')", "os.chmod('/etc', 0o755)"])
def test_a_program_that_uses_a_path_after_entering_is_caught(
    tmp_path: Path,
    traced: Callable[..., list],
    call: str,  # type: ignore[type-arg]
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").touch()
    entering = f"import os; os.chroot({str(tmp_path)!r}); os.chdir('/'); {call}"
    assert forbidden(after_entering(traced("-ISc", entering, program=sys.executable)))


@pytest.mark.parametrize(
    "flags", [[], ["-u", "1", "-w", "/tmp/new"], ["-t"], ["--userns", "auto"], ["--read-only"]]
)
def test_run_opens_nothing_by_a_path_of_the_container(traced: Callable[..., list], flags: list[str]) -> None:  # type: ignore[type-arg]
    calls = after_entering(traced("run", "--rm", *flags, "-v", "data:/data", "busybox", "true"))
    assert any(name.startswith("exec") for name, _ in calls), "the program is run inside"
    assert forbidden(calls) == []


@pytest.mark.parametrize("flags", [[], ["-u", "daemon"], ["-t"], ["--privileged"], ["-d"], ["-w", "/etc"]])
def test_exec_opens_nothing_by_a_path_of_the_container(
    pyctr: Pyctr,
    traced: Callable[..., list],
    flags: list[str],  # type: ignore[type-arg]
) -> None:
    make = "echo daemon:x:1:1::/:/bin/sh >>/etc/passwd; sleep 60"
    pyctr("run", "-d", "--name", "box", "busybox", "sh", "-c", make, check=True)
    while pyctr("exec", "box", "grep", "-q", "^daemon:", "/etc/passwd").returncode:
        time.sleep(0.02)
    calls = after_entering(traced("exec", *flags, "box", "true"))
    assert any(name.startswith("exec") for name, _ in calls), "the program is run inside"
    assert forbidden(calls) == []


def test_a_health_check_opens_nothing_by_a_path_of_the_container(
    pyctr: Pyctr,
    traced: Callable[..., list],  # type: ignore[type-arg]
) -> None:
    def until_healthy() -> None:
        deadline = time.monotonic() + 30 * SLOWNESS
        while "healthy" not in pyctr("inspect", "-f", "{{.State.Health.Status}}", "box").stdout.split():
            assert time.monotonic() < deadline
            time.sleep(0.2)
        pyctr("rm", "-f", "box", check=True)

    check = ["--health-cmd", "true", "--health-interval", "1s"]
    calls = after_entering(
        traced("run", "-d", "--name", "box", *check, "busybox", "sleep", "60", until=until_healthy)
    )
    assert sum(name.startswith("exec") for name, _ in calls) >= 2, "the program and a check"
    assert forbidden(calls) == []


OUTSIDE = [
    ("cp", "box:/tree", "{out}"), ("cp", "{given}", "box:/tree/new"), ("commit", "box", "made"),
    ("export", "-o", "{out}.tar", "box"), ("diff", "box"),
]  # fmt: skip


@pytest.mark.parametrize("words", OUTSIDE, ids=lambda words: " ".join(words[:2]))
def test_files_of_a_container_are_reached_by_descriptor_and_name(
    pyctr: Pyctr,
    tmp_path: Path,
    traced: Callable[..., list],
    words: tuple[str, ...],  # type: ignore[type-arg]
) -> None:
    (tmp_path / "given").mkdir()
    (tmp_path / "given/file").write_text("x")
    make = "mkdir -p /tree/a/b; echo x >/tree/a/b/file; ln -s /etc /tree/link; ln /tree/a/b/file /tree/again"
    pyctr("run", "-d", "--name", "box", "-v", "data:/data", "busybox", "sh", "-c", f"{make}; sleep 60", check=True)
    while pyctr("exec", "box", "test", "-e", "/tree/again").returncode:
        time.sleep(0.02)
    calls = traced(*(word.format(out=tmp_path / "out", given=tmp_path / "given") for word in words))
    assert [call for call in after_entering(calls) if call[0] not in ("open_tree", "exit_group")] == []
    seen = 0
    marked = ("/upper/", "/rootfs/", "/root/", "/_data/", "/layers/")
    for _, name, rest in calls:
        for path in re.findall(r'"([^"]*)"', rest):
            inside = path.startswith(str(pyctr.root)) and any(mark + "tree" in path for mark in marked)
            assert not inside, f"a path into the container's files: {name}({rest}"
        if name == "openat" and re.search(r"<[^>]*/tree[^>]*>", rest.partition(",")[0]):
            seen += 1
            assert "O_NOFOLLOW" in rest or "O_EXCL" in rest, f"{name}({rest}"
            assert "/" not in re.findall(r'"([^"]*)"', rest)[0], f"{name}({rest}"
        seen += name in ("openat2", "newfstatat", "statx") and "/tree" in rest.partition(",")[0]
    assert seen, "the walk through the tree is in the trace"
