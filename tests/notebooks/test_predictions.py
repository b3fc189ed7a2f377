"""`predict(…)` in the notebooks: an answer is shown beside its result, and nothing depends on one being given."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from labs.kit.checks.notebooks import NOTEBOOKS
from labs.kit.exercises import manifest, predictions

LABS = [NOTEBOOKS / lab.notebook for lab in manifest.load()]


def cells(file: Path) -> list[Any]:
    return list(nbformat.read(file, 4).cells)


FILES = [
    file
    for file in sorted(NOTEBOOKS.glob("*.ipynb"))
    if file in LABS or any(cell.source.startswith("predict(") for cell in cells(file))
]
"""The chapters that ask for predictions: those with a lab, and any other that does."""


def calls(file: Path) -> list[ast.Call]:
    """The calls of predict in a notebook's cells."""
    sources = [cell.source for cell in cells(file) if cell.source.startswith("predict(")]
    found = [ast.parse(source, mode="eval").body for source in sources]
    assert all(isinstance(call, ast.Call) for call in found)
    return found  # type: ignore[return-value]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_chapter_has_three_predictions_with_right_answers_and_counts_them_at_its_end(file: Path) -> None:
    right = predictions.right_answers()
    names = []
    for call in calls(file):
        answer, name = (ast.literal_eval(argument) for argument in call.args)
        choices = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
        assert answer == "", "no answer is given out"
        assert list(choices) == list("abcd"[: len(choices)])
        assert right[name] in choices
        names.append(name)
    assert len(names) >= 3
    assert len({right[name] for name in names}) > 1
    sources = [cell.source for cell in cells(file)]
    assert sources.count("predictions()") == 1
    assert sources[sources.index("predictions()") - 1] == "yours()"


def test_each_right_answer_belongs_to_one_call() -> None:
    named = [ast.literal_eval(call.args[1]) for file in FILES for call in calls(file)]
    assert sorted(named) == sorted(predictions.right_answers())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_prediction_stands_between_its_question_and_the_experiment_and_is_not_compared(file: Path) -> None:
    found = cells(file)
    for number, cell in enumerate(found):
        if cell.cell_type == "code" and re.match(r"predict(ions)?\(", cell.source):
            assert "nbval-ignore-output" in cell.metadata.tags
        if cell.source.startswith("predict("):
            assert "**Before you run it:**" in found[number - 1].source
            assert found[number + 1].cell_type == "code"


RUN = ['predict("{}", "pid-after-unshare", a="the child", b="both")', 'print("a result")', "predictions()"]


@pytest.mark.parametrize(
    ("answer", "shown", "summary"),
    [
        ("", predictions.NONE, "You made no predictions in this chapter."),
        ("a", "Your prediction: a) the child. Right.", "1 of your 1 predictions were right."),
        (
            " B) ",
            "Your prediction: b) both. The cell below shows: a) the child.",
            "0 of your 1 predictions were right.",
        ),
        ("maybe", "'maybe' is not one of a, b: type a letter", "You made no predictions in this chapter."),
    ],
)
def test_an_answer_is_shown_beside_the_result_in_its_own_cell(answer: str, shown: str, summary: str) -> None:
    sources = ["%load_ext labs.kit.notebook", *RUN]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source.replace("{}", answer)) for source in sources]
    )
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute(cwd=str(NOTEBOOKS))
    _, predicted, result, end = notebook.cells
    assert predicted.outputs[0].data["text/plain"].startswith(shown)
    assert [output.text for output in result.outputs] == ["a result\n"], "the compared cell shows nothing else"
    assert end.outputs[0].text == f"{summary}\n"


def test_the_first_answer_that_meets_its_result_counts() -> None:
    given = predictions.Predictions()
    choices = {"a": "one", "b": "two"}
    name = next(name for name, letter in given.right.items() if letter == "a")
    assert "Now run the next cell" in given.give("b", name, choices)
    assert "Now run the next cell" in given.give("a", name, choices)  # the answer is changed before the result
    assert given.meet().endswith("Right.")
    given.give("b", name, choices)
    given.meet()
    assert given.summary() == "1 of your 1 predictions were right."
    assert given.meet() == ""
