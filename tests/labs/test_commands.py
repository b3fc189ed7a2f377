"""The commands behind make's targets, as a learner and a teacher meet them."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from labs.kit import screen
from labs.kit.checks import session
from labs.kit.commands import grade, narration
from labs.kit.exercises import manifest
from labs.kit.exercises.source import of_file
from tests.person import at_terminal

if TYPE_CHECKING:
    from collections.abc import Callable

EXERCISES = manifest.exercises()


def sentences(shown: str) -> str:
    """What is shown in boxes, without their borders and line ends."""
    return " ".join(shown.replace("│", " ").split())


def test_a_lab_of_starters_is_to_do_and_says_where_to_begin(
    kit: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = kit("lab", "5")
    assert done.returncode == 0  # else make would add "*** Error 1"
    assert "0/100" in done.stdout
    assert "Next: 5.1" in done.stdout
    assert "make hint EX=5.1" in done.stdout
    assert f"0 of {len(EXERCISES)} functions of the engine are yours." in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_failing_exercise_is_explained_before_what_is_to_do(
    kit: Callable[..., subprocess.CompletedProcess[str]], solve: Callable[..., None]
) -> None:
    solve(manifest.find("5.3"), "def add_whiteout(self, place, name):\n    pass")
    done = kit("lab", "5")
    assert done.returncode == 1
    assert "was it written, to self.stream?" in sentences(done.stdout)
    assert "make trace EX=5.3" in done.stdout


@pytest.mark.timeout(300)
def test_a_full_lab_ends_with_0(
    kit: Callable[..., subprocess.CompletedProcess[str]], solve: Callable[..., None]
) -> None:
    for exercise in manifest.find_lab(5).exercises:
        solve(exercise)
    done = kit("lab", "5")
    assert "100/100" in done.stdout, done.stdout + done.stderr
    assert "Lab 5 is complete." in done.stdout
    assert done.returncode == 0


@pytest.mark.timeout(300)
def test_a_lab_is_not_complete_where_an_earlier_one_breaks(
    kit: Callable[..., subprocess.CompletedProcess[str]], solve: Callable[..., None]
) -> None:
    for exercise in manifest.find_lab(5).exercises:
        solve(exercise)
    earlier = manifest.find("3.1")
    solve(earlier, of_file(manifest.LABS / "lab3_rootfs/mistakes/3.1_colon_unescaped.py", earlier.name))
    done = kit("lab", "5")
    assert done.returncode == 1
    assert "100/100" in done.stdout, done.stdout + done.stderr
    assert "not passed: 3.1" in done.stdout
    assert "How is it to know" in sentences(done.stdout)


def test_a_fault_is_told_of_the_exercise_that_has_it(
    kit: Callable[..., subprocess.CompletedProcess[str]], solve: Callable[..., None], slowness: float
) -> None:
    """Every container hangs with this one in the engine: the others are checked without it."""
    for exercise in manifest.find_lab(1).exercises:
        solve(exercise)
    wrong = manifest.find("1.3")
    solve(wrong, of_file(manifest.LABS / "lab1_namespaces/mistakes/1.3_waits_for_the_child.py", wrong.name))
    began = time.monotonic()
    shown = " ".join(kit("lab", "1").stdout.split())
    assert "80/100" in shown
    assert "who would move first?" in shown
    assert time.monotonic() - began < 20 * slowness


def test_one_exercise_alone(
    kit: Callable[..., subprocess.CompletedProcess[str]], solve: Callable[..., None]
) -> None:
    assert kit("check", "5.1").stdout.startswith("Next: 5.1 What the layers below show")
    solve(manifest.find("5.1"))
    done = kit("check", "5.1")
    assert (done.returncode, done.stdout) == (0, "5.1 What the layers below show: passed, 15/15 points\n")


def test_several_exercises_separated_by_commas_or_spaces(
    kit: Callable[..., subprocess.CompletedProcess[str]], solve: Callable[..., None]
) -> None:
    solve(manifest.find("5.1"), "def lower_entry(lowers, name):\n    return 5\n")
    for words in ("5.4,5.1",), ("5.4, 5.1",), ("5.4", "5.1"):
        done = kit("check", *words)
        assert done.returncode == 1
        assert "Next: 5.4" in done.stdout
        assert "5.1  " in done.stdout


def test_the_name_of_a_failed_check_is_a_sentence() -> None:
    result = session.Result(manifest.find("4.1"), "failed", check="test_4_1_it_is_told_as_a_user_s_mistake")
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(screen.explain(result))
    assert "it is told as a user's mistake" in console.export_text()


@pytest.mark.parametrize("words", [("check", "5.1"), ("solution", "5.1"), ("lab", "5")], ids=" ".join)
def test_what_a_learners_file_says_does_not_drive_the_terminal(
    labs: Path, solve: Callable[..., None], words: tuple[str, str]
) -> None:
    """A handed-in file that retitles the teacher's terminal and paints points on it."""
    evil = "\x1b]0;owned\x07\x1b[2J\x9b31m100/100\r"
    body = f"    # {evil.replace(chr(13), '')}\n    raise ValueError({evil!r})\n"
    solve(manifest.find("5.1"), f"def lower_entry(lowers, name):\n{body}")
    environment = {**os.environ, "TERM": "xterm-256color", "VERBOSE": "1"}
    command = [sys.executable, "-m", "labs.kit", "--labs", str(labs), *words]
    with at_terminal(command, env=environment, cwd=manifest.CHECKOUT) as person:
        person.leaves()
        shown = person.shown
    assert "owned" in shown
    assert "\\x1b" in shown
    for driving in ("\x1b]0;", "\x1b[2J", "\x9b", "\x07"):
        assert driving not in shown


def test_watch_checks_only_what_was_changed(labs: Path, solve: Callable[..., None]) -> None:
    """5.1 is no function at all, yet it is not looked at again: it has not changed."""
    solve(manifest.find("4.1"), "def prepare_source(path, create):\n    return None")  # an earlier lab
    solve(manifest.find("5.1"), "def lower_entry(lowers, name):\n    return 5")
    with at_terminal([sys.executable, "-m", "labs.kit", "--labs", str(labs), "watch", "5"]) as person:
        first = person.sees("waiting for a change in labs/lab5_commit")
        assert "Lab 4" not in first
        solve(manifest.find("5.4"))
        shown = person.sees("waiting for a change")
        assert "passed, 15/15 points" in shown.partition("Lab 5")[0]
        assert "make hint EX=5.1" in shown.partition("Lab 5")[2]
        (labs / "lab5_commit/layer.py").touch()
        path = labs / "lab5_commit/diff.py"
        path.write_text(path.read_text().replace("return 5", "return 6"))
        shown = person.sees("waiting for a change")
        assert "5.4" not in shown.partition("Lab 5")[0]
        assert "make hint EX=5.1" in shown.partition("Lab 5")[0]
        person.press("\x03")
        assert person.leaves() == 130


def test_a_lab_is_checked_again_on_each_save(labs: Path, solve: Callable[..., None]) -> None:
    with at_terminal([sys.executable, "-m", "labs.kit", "--labs", str(labs), "watch", "5"]) as person:
        person.sees("0/100")
        person.sees("waiting for a change in labs/lab5_commit")
        solve(manifest.find("5.1"))
        person.sees("15/100")
        person.sees("waiting for a change")
        solve(manifest.find("5.4"))
        person.sees("30/100")
        person.sees("waiting for a change")
        person.press("\x03")
        assert person.leaves() == 130


def test_hints_come_one_by_one_and_stay(kit: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    hints = manifest.find("5.1").hints
    for count in (1, 2, 3, 3):
        shown = " ".join(kit("hint", "5.1").stdout.split())
        assert [" ".join(hint.split()) in shown for hint in hints] == [number < count for number in range(3)]


def test_an_unknown_exercise_or_lab_is_one_clear_line(
    kit: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    for words, told in (
        (
            ("check", "9.9"),
            "there is no exercise 9.9: they are 1.1 to 1.6, 2.1 to 2.6, 3.1 to 3.6, 4.1 to 4.5, 5.1 to 5.6, "
            "6.1 to 6.6, 7.1 to 7.5",
        ),
        (("hint", "abc"), "there is no exercise abc: they are 1.1 to 1.6"),
        (("check", "1"), "1 is a lab: make lab1 checks it. Its exercises are 1.1 to 1.6"),
        (("trace", "5"), "5 is a lab: make lab5 checks it"),
        (("lab", "9"), "there is no lab 9: they are 1 to 7"),
        (("reset", "abc"), "there is no lab abc: they are 1 to 7"),
        (("watch", "3.2"), "3.2 is an exercise: make check EX=3.2. The labs are 1 to 7"),
        (("grade", "--work", "/nowhere"), "there is no directory /nowhere"),
    ):
        done = kit(*words)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), words
        assert done.stderr.startswith(told)


def test_reset_brings_the_starter_back_and_keeps_the_work(
    kit: Callable[..., subprocess.CompletedProcess[str]], labs: Path, solve: Callable[..., None]
) -> None:
    place = manifest.find("5.1").place
    starter = (labs / place).read_text()
    works = []
    for _ in range(3):  # again and again within a second
        solve(manifest.find("5.1"))
        works.append((labs / place).read_text())
        saved = (labs / place).stat().st_mtime_ns
        assert kit("reset", "5").returncode == 0
        assert (labs / place).read_text() == starter
        assert (labs / place).stat().st_mtime_ns > saved
    kept = [path.read_text() for path in (labs / "backups").glob("*/diff.py")]
    assert kept == works
    assert "nothing to do" in kit("reset", "5").stdout


def test_solution_shows_both(kit: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    shown = kit("solution", "5.1").stdout
    assert '│     raise Todo("5.1")' in shown
    assert "is_whiteout(status)" in shown


def test_trace_marks_the_learners_steps(
    kit: Callable[..., subprocess.CompletedProcess[str]], solve: Callable[..., None]
) -> None:
    untouched = kit("trace", "5.3").stdout
    assert untouched.startswith(
        "Nothing here is yours yet: 5.3 add_whiteout() is to do, and the engine's own ran."
    )
    assert "whiteout " not in untouched
    solve(manifest.find("5.3"))
    lines = [line.split() for line in kit("trace", "5.3").stdout.splitlines()]
    assert [line[:3] for line in lines if "whiteout" in line] == [["yours", "whiteout", '"bin/.wh.vi"']]
    assert lines[0][-2:] == ["the", "engine's"]  # the microseconds of both
    steps = [line for line in lines[1:-1] if "…" not in line]
    assert all(number.isdecimal() for line in steps for number in line[-2:])


def test_trace_shows_two_neighbours_of_a_step_and_all_with_full(
    kit: Callable[..., subprocess.CompletedProcess[str]],
    solve: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    solve(manifest.find("3.1"))
    assert (
        "No step here is yours: overlay_options() makes no kernel call in this run" in kit("trace", "3.1").stdout
    )
    solve(manifest.find("3.2"))
    few = kit("trace", "3.2").stdout
    rows = r"^(?:   yours|   the engine's|[-?]  only the engine's)  "
    assert re.search(r"^ +… \d+ more *$", few, re.MULTILINE)
    total = int(re.findall(r"All (\d+) steps of the chapter: make trace EX=3.2 FULL=1", few)[0])
    assert len(re.findall(rows, few, re.MULTILINE)) < 20 < total
    monkeypatch.setenv("FULL", "1")
    everything = kit("trace", "3.2").stdout
    assert "FULL=1" not in everything
    assert len(re.findall(rows, everything, re.MULTILINE)) == total


def test_steps_around_those_of_interest_and_the_beginning_of_a_long_difference() -> None:
    def step(call: str, module: str = "pyctr_lite.rootfs") -> dict[str, Any]:
        return {"call": call, "module": module}

    common = [step(str(number)) for number in range(20)]
    mine = [*common[:10], step("10", "labs.lab3_rootfs.pivot"), *common[11:]]
    rows = narration.near(narration.compare(mine, common), lambda row: row.learners)
    assert [row if isinstance(row, int) else row.theirs and row.theirs["call"] for row in rows] == [
        8, "8", "9", "10", "11", "12", 7
    ]  # fmt: skip
    rows = narration.near(narration.compare(common[:5], common), lambda row: row.sign)
    assert [row if isinstance(row, int) else f"{row.sign}{(row.theirs or {})['call']}" for row in rows] == [
        3, "3", "4", "-5", "-6", "-7", "-8", 11
    ]  # fmt: skip


@pytest.mark.parametrize("id", ["1.3", "2.3", "3.2", "4.3", "5.3"])
def test_trace_of_a_right_solution_tells_of_no_difference(
    kit: Callable[..., subprocess.CompletedProcess[str]], solve: Callable[..., None], id: str
) -> None:
    for exercise in manifest.find_lab(int(id[0])).exercises:
        solve(exercise)
    shown = kit("trace", id).stdout
    assert "yours" in shown
    assert [line for line in shown.splitlines() if line.startswith(("+", "-"))] == []


def test_trace_of_what_hangs_ends(
    kit: Callable[..., subprocess.CompletedProcess[str]], solve: Callable[..., None]
) -> None:
    wrong = manifest.find("1.3")
    solve(wrong, of_file(manifest.LABS / "lab1_namespaces/mistakes/1.3_waits_for_the_child.py", wrong.name))
    done = kit("trace", "1.3")
    assert done.returncode == 0
    assert "only the engine's" in done.stdout
    assert "did not end within" in done.stdout


def test_verbose_shows_the_learners_traceback_and_not_pytests(
    kit: Callable[..., subprocess.CompletedProcess[str]],
    solve: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VERBOSE", "1")
    solve(manifest.find("5.1"), "def lower_entry(lowers, name):\n    return lowers[99]\n")
    shown = kit("check", "5.1").stdout
    _, _, traceback = shown.partition("Traceback (most recent call last):")
    assert "lab5_commit/diff.py" in traceback
    assert traceback.count("File ") == 1  # the learner's line
    assert "site-packages" not in shown


def test_trace_says_which_steps_nobody_may_hear_of(
    kit: Callable[..., subprocess.CompletedProcess[str]], solve: Callable[..., None]
) -> None:
    solve(manifest.find("3.2"))
    shown = kit("trace", "3.2").stdout
    assert [line.split()[4] for line in shown.splitlines() if line.startswith("?  only")] == [
        'chdir("…/containers/<id>/rootfs")',
        "fchdir(old",
        'chdir("/")',
    ]
    assert "?  a call of Python's own" in shown


def test_grade_writes_what_a_program_reads(
    kit: Callable[..., subprocess.CompletedProcess[str]],
    labs: Path,
    solve: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TRUSTED", "1")
    solve(manifest.find("5.1"))
    report = tmp_path / "grade.json"
    done = kit("grade", "--work", str(labs), "--output", str(report))
    graded = json.loads(report.read_text())
    assert (done.returncode, graded["points"]) == (1, 15)
    assert graded["of"] == sum(exercise.points for exercise in EXERCISES)
    states = {line["id"]: line["state"] for line in graded["exercises"]}
    assert states == {exercise.id: "passed" if exercise.id == "5.1" else "to do" for exercise in EXERCISES}


def test_grade_runs_others_code_only_in_the_vm_or_where_it_is_trusted(
    kit: Callable[..., subprocess.CompletedProcess[str]],
    labs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if grade.VM.exists():
        pytest.skip("this is the VM")
    monkeypatch.delenv("TRUSTED", raising=False)
    done = kit("grade", "--work", str(labs), "--output", str(tmp_path / "grade.json"))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "do it in the VM" in done.stderr
    assert not (tmp_path / "grade.json").exists()


def test_grade_takes_only_the_exercises_files_and_no_link(
    kit: Callable[..., subprocess.CompletedProcess[str]],
    labs: Path,
    solve: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A repository that brings checks of its own, and a link to a file of the teacher's."""
    monkeypatch.setenv("TRUSTED", "1")
    (labs / "lab5_commit/test_commit.py").write_text("def test_5_1_all_is_well(): pass\n")
    (labs / "conftest.py").write_text("raise SystemExit(0)\n")
    solved = tmp_path / "elsewhere.py"
    solve(manifest.find("5.1"))
    (labs / "lab5_commit/diff.py").rename(solved)
    (labs / "lab5_commit/diff.py").symlink_to(solved)
    report = tmp_path / "grade.json"
    done = kit("grade", "--work", str(labs), "--output", str(report))
    graded = json.loads(report.read_text())
    assert graded["points"] == 0
    assert "lab5_commit/diff.py" in graded["refused"][0]
    assert "the starter is graded instead" in done.stdout
