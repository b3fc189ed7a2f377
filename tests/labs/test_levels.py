"""Two levels of help: bare files are the guided ones without their steps, and what is written stays."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labs.kit.exercises import levels, manifest, source
from tests.person import at_terminal

if TYPE_CHECKING:
    from collections.abc import Callable

EXERCISES = manifest.exercises()


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.id)
def test_the_bare_form_is_the_guided_one_without_its_steps(exercise: manifest.Exercise) -> None:
    guided, bare = (levels.starter(exercise, level) for level in levels.LEVELS)
    assert ast.dump(ast.parse(bare)) == ast.dump(ast.parse(guided))  # signature, docstring, Todo
    assert re.findall("#.*", guided), "the guided form has steps"
    assert re.findall("#.*", bare) == ["# bare"]


def test_no_comment_but_steps_is_taken_out_of_a_file() -> None:
    for exercise in EXERCISES:
        guided, bare = (levels.file(exercise.place, level) for level in levels.LEVELS)
        assert bare.partition("\ndef ")[0] == guided.partition("\ndef ")[0]
        assert ast.dump(ast.parse(bare)) == ast.dump(ast.parse(guided))


def test_what_is_to_do_is_given_out_at_a_level_and_what_is_written_or_begun_stays(
    kit: Callable[..., subprocess.CompletedProcess[str]],
    labs: Path,
    solve: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written, begun, other = map(manifest.find, ("1.1", "1.3", "1.2"))
    solve(written)
    path = labs / begun.place
    path.write_text(path.read_text().replace("    raise Todo", "    linux.clone3(flags)\n    raise Todo"))
    kept = {exercise.id: source.of_file(labs / exercise.place, exercise.name) for exercise in (written, begun)}
    monkeypatch.setenv("LEVEL", "bare")
    done = kit("level")
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.split("\n", 1)
    assert first == "Left as they are, for you have begun to write them: 1.3"
    ids = [exercise.id for exercise in EXERCISES if exercise.id not in ("1.1", "1.3")]
    assert " ".join(second.split()) == f"Given out at the level bare: {', '.join(ids)}"
    for exercise in (written, begun):
        assert source.of_file(labs / exercise.place, exercise.name) == kept[exercise.id]
    assert source.of_file(labs / other.place, other.name) == levels.starter(other, "bare")
    monkeypatch.setenv("LEVEL", "guided")
    kit("level")
    assert source.of_file(labs / other.place, other.name) == levels.starter(other, "guided")
    assert source.of_file(labs / written.place, written.name) == kept["1.1"]


def test_the_class_has_a_level_and_level_in_the_environment_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LEVEL", raising=False)
    file = tmp_path / "labs.toml"
    file.write_text("")
    assert levels.chosen(file) == "guided"
    file.write_text('level = "bare"\n')
    assert levels.chosen(file) == "bare"
    monkeypatch.setenv("LEVEL", "guided")
    assert levels.chosen(file) == "guided"


def test_an_unknown_level_is_one_clear_line_and_changes_nothing(
    kit: Callable[..., subprocess.CompletedProcess[str]], labs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEVEL", "easy")
    for words in (("level",), ("reset", "5")):
        done = kit(*words)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == "there is no level easy: LEVEL is guided or bare\n"
    assert (labs / "lab5_commit/diff.py").read_text() == levels.file("lab5_commit/diff.py", "guided")


def test_reset_gives_out_bare_files_and_the_table_and_the_grade_show_the_level(
    kit: Callable[..., subprocess.CompletedProcess[str]],
    labs: Path,
    solve: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LEVEL", "bare")
    monkeypatch.setenv("TRUSTED", "1")
    assert kit("reset", "5").returncode == 0
    assert "nothing to do" in kit("reset", "5").stdout
    path = labs / "lab5_commit/diff.py"
    path.write_text(path.read_text().replace('raise Todo("5.1")', "return None"))
    report = tmp_path / "grade.json"
    done = kit("grade", "--work", str(labs), "--output", str(report))
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if re.match(r"\d\.\d", line)}
    graded = {line["id"]: line["level"] for line in json.loads(report.read_text())["exercises"]}
    for exercise in EXERCISES:
        level = "bare" if exercise.lab == "lab5_commit" else "guided"  # 5.1 too, which is written
        assert f"{exercise.name}() {level} " in " ".join(rows[exercise.id].split()) + " "
        assert graded[exercise.id] == level


def test_a_hint_goes_on_below_its_text_on_a_narrow_terminal(labs: Path) -> None:
    command = [sys.executable, "-m", "labs.kit", "--labs", str(labs), "hint", "5.1"]
    with at_terminal(command, cwd=manifest.CHECKOUT) as person:
        person.leaves()
        lines = re.sub(r"\x1b\[[0-9;]*m", "", person.shown).splitlines()
    number = next(n for n, line in enumerate(lines) if line.startswith("  1. "))
    hint = lines[number : next(n for n, line in enumerate(lines) if "more: make hint" in line)]
    assert len(hint) > 1
    assert max(map(len, hint)) <= 80
    assert all(line.startswith("     ") and line[5] != " " for line in hint[1:])
