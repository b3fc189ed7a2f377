"""`--explain`: chapter, call, flags by name, result, microseconds; and nothing if it is off."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyctr_lite import linux
from pyctr_lite.linux import call, explain, seccomp
from pyctr_lite.rootfs import overlay
from pyctr_lite.volumes import bind
from tests.conftest import Pyctr

Lines = Callable[[], list[str]]


@pytest.fixture
def narration(tmp_path: Path) -> Iterator[Callable[..., Lines]]:
    """Start the narration: `lines = narration()`. Then `lines()` returns the lines so far."""
    path = tmp_path / "narration"
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def start(json: bool = False) -> Lines:
        explain.start(fd, json=json)
        return lambda: path.read_text().splitlines()

    yield start
    explain.stop()
    os.close(fd)


def test_a_step_has_chapter_flags_result_and_microseconds(narration: Callable[..., Lines]) -> None:
    lines = narration()
    with pytest.raises(OSError, match="mount"):
        bind.bind_mount("/no/such", "/no/where")
    [line] = lines()
    step = r'\[4 volumes\] +mount\("/no/such", "/no/where", NULL, MS_BIND\|MS_REC, NULL\) = -1 ENOENT  \d+ µs'
    assert re.fullmatch(step, line)


def test_a_step_is_printed_as_json(narration: Callable[..., Lines]) -> None:
    lines = narration(json=True)
    with pytest.raises(OSError, match="mount"):
        overlay.mount_overlay(["/no/a", "/no/b"], "", "", "/no/where")
    [step] = map(json.loads, lines())
    assert step.pop("microseconds") >= 0
    assert step == {
        "chapter": 3,
        "name": "rootfs",
        "module": "pyctr_lite.rootfs.overlay",
        "pid": os.getpid(),
        "call": 'mount("overlay", "/no/where", "overlay", 0, "lowerdir=/no/a:/no/b")',
        "result": "-1 ENOENT",
    }


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: linux.prctl_ambient(linux.PR_CAP_AMBIENT_CLEAR_ALL),
            "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0) = 0 ",
        ),
        (
            lambda: linux.mount_setattr(linux.AT_FDCWD, "/no", linux.AT_RECURSIVE, set=linux.MOUNT_ATTR_RDONLY),
            'mount_setattr(AT_FDCWD, "/no", AT_RECURSIVE, set=MOUNT_ATTR_RDONLY, propagation=0) = -1 ENOENT ',
        ),
        (
            lambda: seccomp.set_mode_filter(b"", linux.SECCOMP_FILTER_FLAG_SPEC_ALLOW),
            "seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, 0 instructions) = -1 EINVAL ",
        ),
    ],
    ids=["prctl", "mount_setattr", "seccomp"],
)
def test_numbers_are_shown_by_the_kernels_names(
    narration: Callable[..., Lines], call: Callable[[], None], text: str
) -> None:
    lines = narration()
    with contextlib.suppress(OSError):
        call()
    [line] = lines()
    assert text in line


def test_the_error_survives_its_narration(narration: Callable[..., Lines]) -> None:
    narration()
    with pytest.raises(OSError, match="No such") as caught:
        linux.umount2("/no/such")
    assert caught.value.errno == 2


def test_ids_are_shortened_in_text_and_whole_in_json(narration: Callable[..., Lines]) -> None:
    lines, id = narration(), "0123456789abcdef" * 4
    explain.narrate(f"rmdir({id})", time.perf_counter_ns())
    assert "rmdir(0123456789ab…)" in lines()[-1]
    lines = narration(json=True)
    explain.narrate(f"rmdir({id})", time.perf_counter_ns())
    assert id in lines()[-1]


def test_a_call_that_changes_nothing_is_not_a_step(narration: Callable[..., Lines]) -> None:
    lines = narration()
    os.close(linux.openat2(linux.AT_FDCWD, "/", linux.O_PATH))
    linux.capget()
    assert lines() == []
    explain.step("chdir(.)", os.chdir, ".")
    assert len(lines()) == 1


def test_a_reader_that_has_closed_its_pipe_is_ignored() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    explain.start(writer)
    try:
        explain.step("chdir(.)", os.chdir, ".")
    finally:
        explain.stop()
        os.close(writer)


def test_without_explain_no_step_is_described_or_narrated(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> str:
        raise AssertionError("called, although --explain is off")

    monkeypatch.setattr(explain, "narrate", never)
    monkeypatch.setattr(time, "perf_counter_ns", never)
    assert explain.step("x", int, "7") == 7
    assert call.make(never, None, lambda: 5) == 5
    linux.prctl(linux.PR_CAPBSET_READ, 0)


def test_run_and_rm_narrate_their_chapters_in_order(pyctr: Pyctr) -> None:
    done = pyctr("run", "--explain=json", "--name", "box", "-v", "data:/data", "-m", "64m", "busybox", "true")
    steps = [json.loads(line) for line in done.stderr.splitlines()]
    calls = [step["call"] for step in steps]
    positions = [
        next(number for number, call in enumerate(calls) if re.match(pattern, call))
        for pattern in (r"sethostname\(", r'mount\("overlay".*upperdir', r"pivot_root\(", r"execve\(")
    ]
    assert any(call.startswith("clone3(CLONE_") for call in calls)
    assert positions == sorted(positions)
    assert {"namespaces", "cgroups", "rootfs", "volumes"} <= {step["name"] for step in steps}
    assert all(step["microseconds"] >= 0 for step in steps)
    done = pyctr("rm", "--explain", "box")
    assert "rename(" in done.stderr
    assert pyctr("run", "--rm", "busybox", "true").stderr == ""
