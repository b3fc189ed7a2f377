"""Faults to find: each shows, each can be named, and what was named is counted apart from the points."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labs.kit.commands import faults, progress
from labs.kit.exercises import breaks, levels, manifest, source
from tests.person import at_terminal

if TYPE_CHECKING:
    from collections.abc import Callable

BREAKS = breaks.load()


@pytest.mark.parametrize("fault", BREAKS.values(), ids=BREAKS)
def test_the_symptom_differs_from_what_the_engine_does(fault: breaks.Break) -> None:
    if not fault.shows_here:
        pytest.skip(f"it shows with cgroup version {fault.cgroup} only")
    faulty, sound = faults.run(fault, True), faults.run(fault, False)
    assert (faulty.text, faulty.status) != (sound.text, sound.status)
    assert "Traceback" not in faulty.text + sound.text
    assert "--labs:" not in faulty.text, "nothing is wrong with the file"
    assert "/tmp/" not in faulty.text + sound.text


@pytest.mark.parametrize("fault", BREAKS.values(), ids=BREAKS)
def test_a_fault_is_a_known_mistake_with_four_different_names(fault: breaks.Break) -> None:
    assert source.of_file(fault.mistake, fault.exercise.name)
    assert len(set(fault.choices)) == len(fault.choices) == len(breaks.LETTERS)
    assert fault.right in tuple(breaks.LETTERS)
    assert fault.question.endswith("?")
    assert all(text.endswith(".") for text in (*fault.choices, fault.explanation))


@pytest.mark.parametrize("cgroup", [1, 2])
def test_each_lab_has_two_at_least_whatever_the_version_of_cgroups(cgroup: int) -> None:
    shown = [fault.exercise.lab for fault in BREAKS.values() if fault.cgroup in (None, cgroup)]
    assert all(shown.count(lab.name) >= 2 for lab in manifest.load())


def test_the_right_answer_is_not_always_at_the_same_place() -> None:
    assert {fault.right for fault in BREAKS.values()} == set(breaks.LETTERS)


def test_the_symptom_is_shown_beside_the_sound_engine_and_the_answer_is_not(
    kit: Callable[..., subprocess.CompletedProcess[str]], labs: Path
) -> None:
    fault = BREAKS["4.3"]
    done = kit("break", "4.3")
    assert (done.returncode, done.stderr) == (0, "")
    does, should = done.stdout.split("what it should do")
    assert "written" in does
    assert "Read-only file system" in should
    assert "only the engine's  mount(" in should  # the trace
    assert all(f"{letter}) {text}" in should for letter, text in zip("abcd", fault.choices, strict=True))
    assert fault.explanation[:40] not in done.stdout
    assert not (labs / progress.NAME).exists()


def test_an_answer_is_judged_and_counted(
    kit: Callable[..., subprocess.CompletedProcess[str]], labs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = BREAKS["5.3"]
    wrong = next(letter for letter in breaks.LETTERS if letter != fault.right)
    for answer, said in ((wrong, f"It is not {wrong}."), (fault.right.upper(), f"Found: {fault.right}.")):
        monkeypatch.setenv("ANSWER", answer)
        done = kit("break", "5.3")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(said)
    assert " ".join(fault.explanation.split()) in " ".join(done.stdout.split())
    assert f"1 of {len(breaks.here())} faults found" in done.stdout
    assert progress.load(labs, "answers") == {"5.3": wrong + fault.right}


def test_an_answer_out_of_range_and_an_exercise_without_a_fault_are_one_clear_line(
    kit: Callable[..., subprocess.CompletedProcess[str]], labs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANSWER", "e")
    for id, said in (("5.3", "the answer 'e' is not one of"), ("1.1", "there is no fault to find for 1.1")):
        done = kit("break", id)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert done.stderr.startswith(said)
    assert not (labs / progress.NAME).exists()


def test_at_a_terminal_the_answer_is_asked_for(labs: Path) -> None:
    command = [sys.executable, "-m", "labs.kit", "--labs", str(labs), "break", "5.6"]
    with at_terminal(command, cwd=manifest.CHECKOUT) as person:
        person.sees("Your answer")
        person.press(f"{BREAKS['5.6'].right}\n")
        person.sees("Found: ")
        assert person.leaves() == 0


def test_grade_counts_what_was_found_apart_and_trusts_nothing_in_the_file(
    labs: Path, tmp_path: Path, solve: Callable[..., None]
) -> None:
    known, other = BREAKS["4.3"], BREAKS["5.3"]
    for text, found in (
        (json.dumps({"answers": {"4.3": "bca", "5.3": "acd", "9.9": "a"}}), [known.exercise.id]),
        (json.dumps({"answers": {"4.3": 5, "5.3": [other.right]}}), []),
        (json.dumps({"answers": ["4.3"]}), []),
        ("[" * 100_000, []),
        ("\xff", []),
    ):
        assert breaks.named(progress.parse(text.encode("latin-1"), "answers")) == found
    solve(manifest.find("5.1"))
    progress.remember(labs, "answers", "4.3", known.right)
    report = tmp_path / "grade.json"
    command = [sys.executable, "-m", "labs.kit", "grade", "--work", str(labs), "--output", str(report)]
    subprocess.run(["env", "TRUSTED=1", *command], cwd=manifest.CHECKOUT, capture_output=True)
    graded = json.loads(report.read_text())
    assert (graded["points"], graded["found"]) == (15, 1)
    assert graded["exercises"][0]["level"] == levels.LEVELS[0]


def test_mine_draws_the_way_of_a_run_in_the_order_of_its_calls(
    kit: Callable[..., subprocess.CompletedProcess[str]], solve: Callable[..., None]
) -> None:
    for id in ("1.3", "3.2", "5.3"):
        solve(manifest.find(id))
    shown = kit("mine").stdout
    for line in ("■ 1.3 spawn()", "□ 1.6 bring_up_loopback()", "■ 3.2 pivot_root()", "□ 4.3 bind_mount()"):
        assert line in shown
    assert shown.index("1.3 spawn()") < shown.index("4.3 bind_mount()") < shown.index("3.2 pivot_root()")
    assert "2 of the " in shown
    assert "5.3 ■" in shown.rpartition("by other verbs")[2]
    assert "kernel steps made by your code" in shown
    assert "0 of" not in shown
