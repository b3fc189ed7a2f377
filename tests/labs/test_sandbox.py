"""Whatever a learner's function does, the check ends in time with a clear message and leaves the machine clean.

That nothing is left is what the fixture `leaves_nothing` proves after each of these tests.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labs.kit.checks import session
from labs.kit.exercises import manifest

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD = "def lower_entry(lowers: list[str], name: str) -> str | None:\n"


@pytest.fixture
def tried(labs: Path, solve: Callable[..., None]) -> Callable[..., session.Result]:
    """`tried(body)`: what comes of exercise 5.1 with that body."""
    exercise = manifest.find("5.1")

    def check(body: str, **more: float) -> session.Result:
        solve(exercise, HEAD + "".join(f"    {line}\n" for line in body.splitlines()))
        [result] = session.check([exercise], labs, **more).results
        return result

    return check


def test_a_loop_without_end_is_stopped_and_its_line_is_told(
    tried: Callable[..., session.Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "SECONDS_A_CHECK", 1)
    result = tried("while True:\n    name = name + ''")
    assert result.state == "failed"
    assert f"did not end within {session.SLOWNESS:g} s" in result.message
    assert "lab5_commit/diff.py, line" in result.message


def test_a_wait_that_no_alarm_ends_is_stopped_from_outside(tried: Callable[..., session.Result]) -> None:
    began = time.monotonic()
    result = tried(
        "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass", seconds=15
    )
    assert result.state == "stopped"
    assert f"did not end within {15 * session.SLOWNESS:g} s" in result.message
    assert time.monotonic() - began < 60 * session.SLOWNESS


def test_a_fork_bomb_ends(tried: Callable[..., session.Result]) -> None:
    result = tried("while True:\n    os.fork()", seconds=40)
    assert result.state in ("stopped", "failed")
    assert "made more than 400 processes" in result.message or "BlockingIOError" in result.message


def test_what_takes_all_memory_is_killed(tried: Callable[..., session.Result]) -> None:
    result = tried("return [bytearray(1 << 26) for _ in range(1000)]", seconds=150)
    assert (result.state, result.points) == ("stopped", 0)
    assert "more than 1024 MiB" in result.message


def test_a_forgotten_mount_and_a_forgotten_process_are_gone(
    tried: Callable[..., session.Result], tmp_path: Path
) -> None:
    body = (
        "from pyctr_lite import linux\n"
        f"linux.mount('tmpfs', {str(tmp_path)!r}, 'tmpfs')\n"
        "if os.fork() == 0:\n    os.setsid()\n    os.execvp('sleep', ['sleep', '1234'])\n"
        "return None"
    )
    assert tried(body).state == "failed"
    assert not os.path.ismount(tmp_path)


def test_what_ends_the_checks_themselves_is_told(tried: Callable[..., session.Result]) -> None:
    result = tried("os._exit(7)")
    assert result.state == "stopped"
    assert "ended the checks themselves (exit status 7)" in result.message


def test_an_exception_shows_the_learners_own_line(tried: Callable[..., session.Result]) -> None:
    result = tried("first = lowers[99]\nreturn first")
    assert result.state == "failed"
    assert "IndexError" in result.message
    assert "in lower_entry():  first = lowers[99]" in result.message


def test_the_reference_by_its_back_door_scores_nothing(labs: Path, solve: Callable[..., None]) -> None:
    exercise = manifest.find("5.1")
    solve(exercise, HEAD + "    return runtimes(lowers, name)")
    path = labs / exercise.place
    path.write_text(
        path.read_text().replace(
            "import stat\n", "import stat\nfrom pyctr_lite.commit.diff import lower_entry as runtimes\n"
        )
    )
    [result] = session.check([exercise], labs).results
    assert (result.state, result.points) == ("failed", 0)
    assert "the runtime's own lower_entry(): write your own" in result.message


def test_a_syntax_error_takes_out_its_own_file_only(labs: Path, solve: Callable[..., None]) -> None:
    solve(manifest.find("5.3"))
    broken = labs / "lab5_commit/diff.py"
    broken.write_text(broken.read_text() + "\ndef (:\n")
    results = session.check([manifest.find(id) for id in ("5.1", "5.2", "5.3")], labs).results
    assert [result.state for result in results] == ["broken", "broken", "passed"]
    assert "diff.py, line" in results[0].message


def test_a_file_that_fails_when_it_is_run_takes_out_its_own_exercises_only(
    labs: Path, solve: Callable[..., None]
) -> None:
    for id in ("5.1", "5.3"):
        solve(manifest.find(id))
    path = labs / "lab5_commit/diff.py"
    path.write_text(path.read_text() + "\n1 / 0\n")
    results = session.check([manifest.find(id) for id in ("5.1", "5.3")], labs).results
    assert [result.state for result in results] == ["broken", "passed"]
    assert "ZeroDivisionError" in results[0].message
    assert "1 / 0" in results[0].message


def test_a_function_that_is_gone_is_told(labs: Path) -> None:
    path = labs / "lab5_commit/diff.py"
    path.write_text(path.read_text().replace("def lower_entry", "def lower_entri"))
    [result] = session.check([manifest.find("5.1")], labs).results
    assert result.state == "gone"
