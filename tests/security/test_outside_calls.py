"""System calls on a container's files from outside, traced by strace: `cp`, `commit`, `export`, `diff`.

A tree that a container writes to is walked from a descriptor, one name at a time, without following links, or
through openat2(2) beneath the root. No path of the host leads into it.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import SLOWNESS, Pyctr

CALL = re.compile(r"^\d+ +(\w+)\((.*)$")
INTO = re.compile(r"/(upper|rootfs|root|_data|layers/\w+)/tree")


def violations(calls: list[tuple[str, str]], root: str) -> list[str]:
    """Return the calls that reach a container's /tree by a path, or by a name that may be a link."""
    wrong = []
    for name, rest in calls:
        paths = re.findall(r'"((?:[^"\\]|\\.)*)"', rest)
        by_path = any(path.startswith(root) and INTO.search(path) for path in paths)
        in_tree = name == "openat" and "/tree" in rest.partition(",")[0]
        by_name = in_tree and ("/" in paths[0] or not ("O_NOFOLLOW" in rest or "O_EXCL" in rest))
        if by_path or by_name:
            wrong.append(f"{name}({rest}")
    return wrong


COMMANDS = [
    ("cp", "box:/tree", "{out}"), ("cp", "{given}", "box:/tree/new"), ("commit", "box", "made"),
    ("export", "-o", "{out}.tar", "box"), ("diff", "box"),
]  # fmt: skip


@pytest.mark.parametrize("args", COMMANDS, ids=lambda args: " ".join(args[:2]))
def test_files_of_a_container_are_reached_by_descriptor_and_name(
    pyctr: Pyctr, tmp_path: Path, needs: Callable[[str], str], args: tuple[str, ...]
) -> None:
    (tmp_path / "given").mkdir()
    (tmp_path / "given/file").write_text("x")
    make = "mkdir -p /tree/a/b; echo x >/tree/a/b/file; ln -s /etc /tree/link; ln /tree/a/b/file /tree/again"
    pyctr("run", "-d", "--name", "box", "busybox", "sh", "-c", f"{make}; sleep 60", check=True)
    while pyctr("exec", "box", "test", "-e", "/tree/again").returncode:
        time.sleep(0.02)
    command = pyctr.command(*(arg.format(out=tmp_path / "out", given=tmp_path / "given") for arg in args))
    trace = [needs("strace"), "-f", "-y", "-s", "300", "-e", "trace=%file", "-o", str(tmp_path / "trace")]
    subprocess.run([*trace, *command], check=True, capture_output=True, timeout=60 * SLOWNESS)
    lines = (tmp_path / "trace").read_text(errors="replace").splitlines()
    calls = [found.groups() for line in lines if (found := CALL.match(line))]
    assert [rest for _, rest in calls if "/tree" in rest.partition(",")[0]], "the walk is in the trace"
    assert violations(calls, str(pyctr.root)) == []  # type: ignore[arg-type]


def test_the_check_of_calls_finds_a_path_and_a_link() -> None:
    calls = [
        ("openat", 'AT_FDCWD</>, "/state/containers/id/upper/tree/file", O_RDONLY) = 3'),
        ("openat", '5</tree>, "a/file", O_RDONLY|O_NOFOLLOW) = 3'),
        ("openat", '5</tree>, "link", O_RDONLY) = 3'),
        ("openat", '5</tree>, "file", O_RDONLY|O_NOFOLLOW) = 3'),
        ("openat2", '5</tree>, "a/file", {flags=O_PATH, resolve=RESOLVE_IN_ROOT}, 24) = 3'),
    ]
    assert len(violations(calls, "/state")) == 3
