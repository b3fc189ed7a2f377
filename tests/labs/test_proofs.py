"""Proofs that each exercise can be solved, that its checks can fail, and that each mistake gets its hint."""

from __future__ import annotations

import ast
import gc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from labs.kit.checks import notebooks, session
from labs.kit.exercises import levels, manifest
from labs.kit.exercises.source import find, of_file
from tests.labs.conftest import SOLVED

if TYPE_CHECKING:
    from collections.abc import Callable

EXERCISES = manifest.exercises()
MISTAKES = sorted(manifest.LABS.glob("lab*/mistakes/*.py"))


def ids(exercise: manifest.Exercise) -> str:
    return exercise.id


@pytest.mark.skipif(not EXERCISES, reason="no lab yet")
def test_an_untouched_starter_is_to_do(labs: Path) -> None:
    report = session.check(EXERCISES, labs)
    assert {result.exercise.id: result.state for result in report.results} == dict.fromkeys(
        map(ids, EXERCISES), "to do"
    )
    assert report.points == 0


@pytest.mark.parametrize("exercise", EXERCISES, ids=ids)
def test_solved_alone_it_passes(labs: Path, solve: Callable[..., None], exercise: manifest.Exercise) -> None:
    solve(exercise)
    [result] = session.check([exercise], labs).results
    assert (result.state, result.message) == ("passed", "")


def test_a_check_that_lacks_its_registry_has_not_passed(
    labs: Path, solve: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    exercise = manifest.find("7.2")
    solve(exercise)
    monkeypatch.setenv("PATH", "/usr/sbin")
    [result] = session.check([exercise], labs).results
    assert (result.state, result.check) == ("failed", "test_7_2_the_engine_gets_its_token_by_it")


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda path: path.stem)
def test_a_mistake_fails_with_the_hint_that_fits_it(labs: Path, solve: Callable[..., None], mistake: Path) -> None:
    """A file `3.2_what_is_wrong.py`: `HINT` is part of what the learner is told, the function is the wrong one."""
    exercise = manifest.find(mistake.stem.partition("_")[0])
    assert mistake.parent.parent.name == exercise.lab
    assert ast.get_docstring(ast.parse(mistake.read_text())), "it says what people do wrong"
    solve(exercise, whole(mistake, exercise.name))
    [result] = session.check([exercise], labs).results
    assert result.state in ("failed", "stopped")
    assert hint_of(mistake) in " ".join(result.message.split())


def whole(mistake: Path, name: str) -> str:
    """Return a mistake's function with what its file imports and defines beside it."""
    beside = [
        ast.unparse(node)
        for node in ast.parse(mistake.read_text()).body
        if isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.Assign | ast.ClassDef)
        and getattr(node, "module", "") != "__future__"
        and getattr(node, "name", "") != name
        and not (isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "HINT")
    ]
    return "\n".join([*beside, "", of_file(mistake, name)])


def hint_of(mistake: Path) -> str:
    for node in ast.parse(mistake.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "HINT":
            return str(ast.literal_eval(node.value))
    raise AssertionError(f"{mistake.name} has no HINT")


def test_every_exercise_has_a_mistake() -> None:
    assert {mistake.stem.partition("_")[0] for mistake in MISTAKES} == set(map(ids, EXERCISES))


@pytest.mark.timeout(600)
@pytest.mark.skipif(not EXERCISES, reason="no lab yet")
def test_all_solved_all_is_full_and_the_notebooks_run_on_it(labs: Path, solve: Callable[..., None]) -> None:
    for exercise in EXERCISES:
        solve(exercise)
    report = session.check(EXERCISES, labs)
    assert [(result.exercise.id, result.message) for result in report.results if result.state != "passed"] == []
    assert report.points == report.most
    files = [notebooks.NOTEBOOKS / lab.notebook for lab in manifest.load()]
    assert notebooks.run(files, labs) == ""


def signature(function: ast.FunctionDef) -> str:
    """Arguments, result and docstring of a function; a method's self has no annotation in its class."""
    arguments = function.args
    for argument in arguments.args:
        if argument.arg == "self":
            argument.annotation = None
    result = ast.unparse(function.returns) if function.returns else ""
    return f"({ast.unparse(arguments)}) -> {result}\n{ast.get_docstring(function)}"


@pytest.mark.parametrize("exercise", EXERCISES, ids=ids)
def test_a_starter_has_the_signature_and_the_docstring_of_the_engine_s_function(
    exercise: manifest.Exercise,
) -> None:
    module, _, path = exercise.function.partition(":")
    text = (manifest.CHECKOUT / (module.replace(".", "/") + ".py")).read_text()
    engines = find(ast.parse(text), path)
    starter = find(ast.parse((manifest.STARTERS / exercise.place).read_text()), exercise.name)
    assert signature(starter) == signature(engines)
    solved = find(ast.parse((SOLVED / exercise.place).read_text()), exercise.name)
    assert signature(solved).partition("\n")[0] == signature(starter).partition("\n")[0]


@pytest.mark.parametrize("exercise", EXERCISES, ids=ids)
def test_nothing_but_its_place_refers_to_the_engine_s_function(exercise: manifest.Exercise) -> None:
    """No `from … import`, no default argument, no table: else a learner's function would not be called."""
    import pyctr_lite.cli.container.run
    import pyctr_lite.engine.files.commit
    import pyctr_lite.engine.life.execute
    import pyctr_lite.engine.life.monitor  # noqa: F401

    owner = exercise.owner()
    original = vars(owner)[exercise.name]
    others = [found for found in gc.get_referrers(original) if found != dict(vars(owner)) and not is_ours(found)]
    assert others == []


def is_ours(found: Any) -> bool:
    """A frame of this test, or the namespace that a class keeps of itself."""
    return type(found).__name__ in ("frame", "mappingproxy", "cell")


def test_a_learner_s_file_is_the_starter_as_it_is_given_out() -> None:
    for exercise in EXERCISES:
        assert (manifest.LABS / exercise.place).read_text() == levels.file(exercise.place, levels.chosen())


def test_the_manifest_is_sound() -> None:
    known = list(map(ids, EXERCISES))
    assert len(set(known)) == len(known)
    for lab in manifest.load():
        assert lab.points == 100
        assert lab.name.startswith(f"lab{lab.number}_")
        assert 4 <= len(lab.exercises) <= 7
        for exercise in lab.exercises:
            assert exercise.id.startswith(f"{lab.number}.")
            assert len(exercise.hints) == 3
            assert set(exercise.needs) <= set(known[: known.index(exercise.id)])
