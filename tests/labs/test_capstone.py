"""Proofs that the capstone can be solved, that each of its checks can fail, and what its commands say."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from labs.kit.capstone import program, session
from labs.kit.capstone.checks import CHECKS
from labs.kit.exercises import manifest
from tests.labs.conftest import SOLVED

if TYPE_CHECKING:
    from collections.abc import Callable

MISTAKES = sorted((manifest.LABS / "capstone/mistakes").glob("*.py"))
NAMES = [check.name for check in CHECKS]
OPTIONAL = [check.name for check in CHECKS if not check.points]


@pytest.fixture
def own(labs: Path) -> Path:
    """A labs directory with all exercises solved and the capstone's starter: returns the place of run.py."""
    shutil.copytree(SOLVED, labs, dirs_exist_ok=True)
    shutil.copy(manifest.STARTERS / program.FILE, labs / program.FILE)
    return labs / program.FILE


@pytest.fixture
def kit(labs: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`kit("capstone")` on the test's own labs."""

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "labs.kit", "--labs", str(labs), *words]
        return subprocess.run(
            command,
            cwd=manifest.CHECKOUT,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )

    return run


def solved() -> str:
    return (SOLVED / program.FILE).read_text()


def test_the_learners_file_is_the_starter_as_it_is_given_out() -> None:
    assert (manifest.LABS / program.FILE).read_text() == (manifest.STARTERS / program.FILE).read_text()


def test_an_untouched_file_is_to_do_and_is_not_run(own: Path) -> None:
    report = session.check(own.parent.parent)
    assert {result.state for result in report.results} == {"to do"}
    assert (report.points, report.most, report.message) == (0, 100, "")


@pytest.mark.timeout(300)
def test_solved_it_has_all_points_twice(own: Path) -> None:
    own.write_text(solved())
    for _ in range(2):
        report = session.check(own.parent.parent)
        failed = [(result.check.name, result.message) for result in report.results if result.state != "passed"]
        assert failed == [], report.output
        assert (report.points, report.full, report.message) == (100, True, "")


def test_signals_that_the_caller_ignores_or_blocks_are_not_the_programs_fault(own: Path) -> None:
    """Those of make(1), of nohup(1), of a shell's background job."""
    own.write_text(solved())
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR2])
    try:
        results = session.check(own.parent.parent, ["signals", "terminated"]).results
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        signal.signal(signal.SIGUSR1, before)
    assert [(result.state, result.message) for result in results] == [("passed", "")] * 2


def constants(path: Path) -> dict[str, Any]:
    """What a mistake's file says: CHECK, HINT and CHANGES, which turn the solved program into the wrong one."""
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda path: path.stem)
def test_a_mistake_is_caught_by_its_check_with_a_message_that_fits(own: Path, mistake: Path) -> None:
    assert ast.get_docstring(ast.parse(mistake.read_text())), "it says what people do wrong"
    said, text = constants(mistake), solved()
    for old, new in said["CHANGES"]:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    own.write_text(text)
    report = session.check(own.parent.parent, [said["CHECK"]])
    [result] = report.results
    assert (result.state, result.points, report.message) == ("failed", 0, "")
    message = " ".join(result.message.split())
    assert said["HINT"] in message
    assert "?" in message


def test_every_check_catches_a_mistake() -> None:
    assert {constants(mistake)["CHECK"] for mistake in MISTAKES} == set(NAMES)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("from pyctr_lite.runtime import launch\nlaunch()", "line 1: imports pyctr_lite.runtime.launch"),
        (
            "from pyctr_lite.rootfs import overlay\nprint()",
            "imports pyctr_lite.rootfs.overlay:",
        ),
        (
            "import pyctr_lite\nprint()",
            "imports pyctr_lite: the capstone uses pyctr_lite.linux and your own",
        ),
        ("from labs.kit.exercises import swap\nprint()", "imports labs.kit.exercises.swap"),
        ("def (:", "line 1: invalid syntax"),
    ],
)
def test_what_the_rule_forbids_is_told_with_its_line_and_not_run(own: Path, text: str, told: str) -> None:
    own.write_text(text)
    report = session.check(own.parent.parent)
    assert (report.points, {result.state for result in report.results}) == (0, {"broken"})
    assert told in report.message


def test_the_learners_own_functions_are_called_by_those_of_the_chapters(own: Path) -> None:
    """bind_mount calls the chapter's change_mount, and that is the learner's: here one that is to do."""
    own.write_text(solved())
    shutil.copy(manifest.STARTERS / "lab4_volumes/bind.py", own.parent.parent / "lab4_volumes/bind.py")
    [result] = session.check(own.parent.parent, ["volume"]).results
    assert result.state == "failed"
    assert "Todo: 4." in result.message


def test_the_checks_the_solution_and_the_checkout_are_out_of_the_programs_reach(own: Path) -> None:
    tried = f"""
import os, sys
found = [path for path in ({str(manifest.CHECKOUT)!r}, "/capstone/tests", "/capstone/labs/kit/capstone",
         "/capstone/labs/capstone/mistakes") if os.path.exists(path) and os.listdir(path)]
processes = [pid for pid in os.listdir("/proc") if pid.isdigit()]
try:
    open("/capstone/labs/capstone/run.py", "a")
    found.append("writable")
except OSError:
    pass
sys.exit(f"found {{found}}, {{len(processes)}} processes")
"""
    own.write_text(tried)
    [result] = session.check(own.parent.parent, ["exit_status"]).results
    assert "found [], 2 processes" in result.message


def test_whatever_the_program_does_the_checks_go_on_and_nothing_is_left(own: Path) -> None:
    """It mounts, kills what it sees, names the host anew, and stays: `leaves_nothing` looks after it."""
    own.write_text("""
import os, signal, socket, subprocess
from pyctr_lite import linux
socket.sethostname("another")
linux.mount("tmpfs", "/srv", "tmpfs")
for pid in os.listdir("/proc"):
    if pid.isdigit() and int(pid) != os.getpid():
        os.kill(int(pid), signal.SIGKILL)
for path, _, _ in os.walk("/sys/fs/cgroup"):
    try:
        os.mkdir(path + "/left")
    except OSError:
        pass
if os.fork() == 0:
    os.setsid()
signal.pause()
""")
    name = os.uname().nodename
    report = session.check(own.parent.parent, ["exit_status"])
    assert [result.state for result in report.results] == ["failed"]
    assert "has not ended after" in report.results[0].message
    assert os.uname().nodename == name


def test_make_capstone_of_an_untouched_file_says_where_to_begin(
    own: Path, kit: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = kit("capstone")
    assert (done.returncode, done.stderr) == (0, "")
    assert "0/100" in done.stdout
    assert "write labs/capstone/run.py" in done.stdout
    assert "make hint EX=capstone" in done.stdout


def test_a_failed_first_check_is_explained_and_the_rest_waits(
    own: Path, kit: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    own.write_text("import os\n\n\ndef main():\n    os.listdir('/nosuch')\n\n\nmain()\n")
    done = kit("check", "capstone")
    assert done.returncode == 1
    shown = " ".join(done.stdout.split())
    assert "FileNotFoundError" in shown
    assert 'File "labs/capstone/run.py", line 5, in main' in shown
    assert shown.count("unchecked") == len(NAMES) - 1
    assert "Traceback" not in done.stdout


def test_hints_come_one_by_one(own: Path, kit: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    hints = manifest.capstone_hints()
    assert len(hints) == 5
    for count in range(1, len(hints) + 2):
        shown = kit("hint", "capstone").stdout
        assert len(re.findall(r"(?m)^  \d\. ", shown)) == min(count, len(hints))
    assert "That was all." in shown


def test_reset_keeps_the_program_and_brings_the_starter_back(
    own: Path, kit: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    own.write_text("mine = 1\n")
    shown = kit("reset", "capstone").stdout
    assert own.read_text() == (manifest.STARTERS / program.FILE).read_text()
    [backup] = (own.parent.parent / "backups").glob("capstone-*/run.py")
    assert backup.read_text() == "mine = 1\n"
    assert "Your work is in" in shown
    assert "nothing to do" in kit("reset", "capstone").stdout


@pytest.mark.timeout(300)
def test_the_solution_is_shown_only_when_the_learners_own_is_complete(
    own: Path, kit: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = kit("solution", "capstone")
    assert (done.returncode, done.stdout) == (1, "")
    assert "it has 0" in done.stderr
    own.write_text(solved())
    done = kit("solution", "capstone")
    assert done.returncode == 0
    assert "def main(args" in done.stdout


def test_what_the_capstone_has_not_is_one_line(
    own: Path, kit: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    for words in (("trace", "capstone"), ("watch", "capstone"), ("lab", "capstone")):
        done = kit(*words)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"{words[0]} is not for the capstone: make capstone checks it\n"


@pytest.mark.timeout(300)
def test_grade_counts_it_apart(
    own: Path, kit: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    labs = own.parent.parent
    shutil.copytree(manifest.STARTERS, labs, dirs_exist_ok=True)
    own.write_text(
        "import os, sys\nat = sys.argv.index('--') + 1\nos.execv('/bin/sh', ['sh', '-c', *sys.argv[at:]])\n"
    )
    report = tmp_path / "grade.json"
    done = kit("grade", "--work", str(labs), "--output", str(report), TRUSTED="1")
    graded = json.loads(report.read_text())
    assert (done.returncode, graded["points"], graded["of"]) == (1, 0, 700)
    assert graded["capstone"]["of"] == 100
    assert [line["name"] for line in graded["capstone"]["checks"]] == NAMES
    assert "0 of 700 points.\nCapstone: " in done.stdout
