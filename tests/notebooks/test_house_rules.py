"""What every notebook keeps to, so that nbval compares it and a person can read it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from labs.kit import manifest
from labs.kit.notebooks import NOTEBOOKS

FILES = sorted(NOTEBOOKS.glob("*.ipynb"))
TAGS = {"nbval-ignore-output", "nbval-skip", "exercise", "plot", "hide-input", "raises-exception"}
MOST_LINES = 15
MOST_OUTPUT = 25


def read(file: Path) -> Any:
    return nbformat.read(file, 4)


def code_cells(file: Path) -> list[Any]:
    return [cell for cell in read(file).cells if cell.cell_type == "code"]


def text_of(output: Any) -> str:
    if output.output_type == "stream":
        return str(output.text)
    return "".join(output.get("data", {}).get("text/plain", ""))


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def file(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_every_code_cell_was_run_in_order(file: Path) -> None:
    cells = code_cells(file)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


def test_nothing_is_on_stderr_and_nothing_was_raised(file: Path) -> None:
    for cell in code_cells(file):
        for output in cell.outputs:
            assert output.output_type != "error", cell.source
            assert output.get("name") != "stderr", cell.source


def test_no_path_or_name_of_the_machine_it_was_made_on(file: Path) -> None:
    words = [str(manifest.CHECKOUT), "/work/", "/root/", "/home/vagrant", "pytest-of", "pyctr_lite-notebooks-"]
    for cell in code_cells(file):
        for output in cell.outputs:
            found = [word for word in words if word in text_of(output)]
            assert not found, (found, cell.source)


def test_root_makes_no_file_under_a_name_that_another_user_can_plant(file: Path) -> None:
    """Everybody may make links in /tmp and /var/tmp: what cells make lies in /srv, which is root's own."""
    for cell in code_cells(file):
        assert not re.search(r"/tmp\b", cell.source) or "O_EXCL" in cell.source, cell.source


def test_cells_are_short_and_so_is_what_they_print(file: Path) -> None:
    for cell in code_cells(file):
        assert len(cell.source.splitlines()) <= MOST_LINES, cell.source
        for output in cell.outputs:
            assert text_of(output).count("\n") <= MOST_OUTPUT, cell.source


def test_only_known_tags_and_an_ignored_output_is_asserted_on(file: Path) -> None:
    for cell in code_cells(file):
        tags = set(cell.metadata.get("tags", []))
        assert tags <= TAGS, cell.source
        if "nbval-ignore-output" in tags and "check(" not in cell.source and "yours()" not in cell.source:
            assert "assert" in cell.source or "plot" in tags, cell.source
        if "plot" in tags:
            assert "assert" in cell.source, cell.source


def test_a_question_a_prediction_and_a_meaning_around_each_experiment(file: Path) -> None:
    cells = read(file).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert len(re.findall(r"^#{1,3} ", text, flags=re.MULTILINE)) >= 5
    assert "<details>" in text, "answers are folded"
    assert re.search(r"man7?\b|\(\d\)", text), "man pages to read on"


def test_all_seven_are_there() -> None:
    assert [file.name[:3] for file in FILES] == [f"{number:02}_" for number in range(7)]
    assert [lab.notebook for lab in manifest.load()] == [file.name for file in FILES[1:6]]
