"""Whatever a learner's function does, the check ends in time with a clear message and leaves the machine clean.

That nothing is left is what the fixture `leaves_nothing` proves after each of these tests.
"""

from __future__ import annotations

import io
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from labs.kit import screen
from labs.kit.checks import session
from labs.kit.checks.arena import SLOWNESS
from labs.kit.exercises import manifest

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD = "def flags(names: list[str]) -> int:\n"


@pytest.fixture
def tried(labs: Path, solve: Callable[..., None]) -> Callable[..., session.Result]:
    """`tried(body)`: what comes of exercise 1.1 with that body."""
    exercise = manifest.find("1.1")

    def check(body: str, **more: float) -> session.Result:
        solve(exercise, HEAD + "".join(f"    {line}\n" for line in body.splitlines()))
        [result] = session.check([exercise], labs, **more).results
        return result

    return check


def test_a_loop_without_end_is_stopped_and_its_line_is_shown(tried: Callable[..., session.Result]) -> None:
    result = tried("while True:\n    names = list(names)")
    assert result.state == "failed"
    assert "flags did not return within 5 s" in result.message
    assert "lab1_namespaces/kinds.py, line" in result.message


def test_a_wait_that_no_alarm_ends_is_stopped_from_outside(tried: Callable[..., session.Result]) -> None:
    began = time.monotonic()
    result = tried("import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass")
    assert result.state == "failed"
    assert "flags did not return within 5 s" in result.message
    assert time.monotonic() - began < 60 * SLOWNESS


def test_a_fork_bomb_ends(tried: Callable[..., session.Result]) -> None:
    result = tried("while True:\n    os.fork()", seconds=40)
    assert result.state in ("stopped", "failed")
    assert "made more than 400 processes" in result.message or "BlockingIOError" in result.message


def test_what_takes_all_memory_is_killed(tried: Callable[..., session.Result]) -> None:
    result = tried("return [bytearray(1 << 26) for _ in range(1000)]", seconds=150)
    assert (result.state, result.points) == ("failed", 0)
    assert "more than 1024 MiB" in result.message


def test_a_forgotten_mount_and_a_forgotten_process_are_gone(
    tried: Callable[..., session.Result], tmp_path: Path
) -> None:
    body = (
        "from pyctr_lite import linux\n"
        "linux.mount('tmpfs', '/tmp', 'tmpfs')\n"
        "if os.fork() == 0:\n    os.setsid()\n    os.execvp('sleep', ['sleep', '1234'])\n"
        "return 0"
    )
    result = tried(body)
    assert result.state == "failed"
    assert "a child process is left" in result.message


def test_what_ends_its_own_process_is_told(tried: Callable[..., session.Result]) -> None:
    result = tried("os._exit(7)")
    assert result.state == "failed"
    assert "its process ended with exit status 7" in result.message


def test_an_exception_shows_the_learners_own_line(tried: Callable[..., session.Result]) -> None:
    result = tried("first = names[99]\nreturn first")
    assert result.state == "failed"
    assert "IndexError" in result.message
    assert "in flags():  first = names[99]" in result.message


def test_the_time_of_a_call_does_not_end_the_description_of_its_error() -> None:
    """Nor does it on a busy machine, where a function that raises in its last moment is described after that."""
    code = """
import signal, time, types
from labs.kit.subject.process import Process, _too_slow

class Slow(Exception):
    def __str__(self):
        time.sleep(0.2)
        return "described"

def function():
    raise Slow

signal.signal(signal.SIGALRM, _too_slow)
print(Process._call(types.SimpleNamespace(returned=None), function, (), {}, 0.1)["error"]["text"])
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=manifest.CHECKOUT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("described\n", "")


def test_a_syntax_error_takes_out_its_own_file_only(labs: Path, solve: Callable[..., None]) -> None:
    solve(manifest.find("1.6"))
    broken = labs / "lab1_namespaces/kinds.py"
    broken.write_text(broken.read_text() + "\ndef (:\n")
    results = session.check([manifest.find(id) for id in ("1.1", "1.2", "1.6")], labs).results
    assert [result.state for result in results] == ["broken", "broken", "passed"]
    assert "kinds.py, line" in results[0].message


def test_a_file_that_fails_when_it_is_run_takes_out_its_own_exercises_only(
    labs: Path, solve: Callable[..., None]
) -> None:
    for id in ("1.1", "1.6"):
        solve(manifest.find(id))
    path = labs / "lab1_namespaces/kinds.py"
    path.write_text(path.read_text() + "\n1 / 0\n")
    results = session.check([manifest.find(id) for id in ("1.1", "1.6")], labs).results
    assert [result.state for result in results] == ["broken", "passed"]
    assert "ZeroDivisionError" in results[0].message
    assert "1 / 0" in results[0].message


def test_a_function_that_is_gone_is_told(labs: Path) -> None:
    path = labs / "lab1_namespaces/kinds.py"
    path.write_text(path.read_text().replace("def flags", "def flagz"))
    [result] = session.check([manifest.find("1.1")], labs).results
    assert result.state == "gone"
    assert "has no function flags: is it flagz now" in result.message


def test_a_process_with_threads_runs_no_checks(labs: Path) -> None:
    """Its child would wait for ever for a thread that it has not."""
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    try:
        with pytest.raises(RuntimeError, match="several threads"):
            session.check([manifest.find("1.1")], labs)
    finally:
        ended.set()
        thread.join()


def test_a_command_shows_what_it_does_without_a_thread() -> None:
    screenful = io.StringIO()
    with screen.doing(Console(file=screenful, force_terminal=True), "checking lab 3"):
        assert threading.active_count() == 1
    assert "checking lab 3 …" in screenful.getvalue()
