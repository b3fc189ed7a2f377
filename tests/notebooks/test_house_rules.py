"""The house rules of the notebooks: nbval can compare their outputs, and a person can read their cells."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from labs.kit.checks.notebooks import NOTEBOOKS
from labs.kit.exercises import manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES = sorted(NOTEBOOKS.glob("*.ipynb"))
TAGS = {"nbval-ignore-output", "nbval-skip", "exercise", "plot", "hide-input", "raises-exception"}
MAX_LINES = 15
MAX_COLUMNS = 115
MAX_OUTPUT_LINES = 25
GLOSSARY = manifest.CHECKOUT / "docs/GLOSSARY.md"


def read(file: Path) -> Any:
    return nbformat.read(file, 4)


def code_cells(file: Path) -> list[Any]:
    return [cell for cell in read(file).cells if cell.cell_type == "code"]


def text_of(output: Any) -> str:
    if output.output_type == "stream":
        return str(output.text)
    return "".join(output.get("data", {}).get("text/plain", ""))


def python_of(cell: Any) -> str:
    """Return a cell's Python, with `pass` instead of each magic, so that line numbers do not change."""
    return "\n".join("pass" if line.startswith("%") else line for line in cell.source.splitlines())


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def file(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_every_code_cell_was_run_once_and_in_order(file: Path) -> None:
    cells = code_cells(file)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


def test_no_output_is_on_stderr_and_no_cell_raised(file: Path) -> None:
    for cell in code_cells(file):
        for output in cell.outputs:
            assert output.output_type != "error", cell.source
            assert output.get("name") != "stderr", cell.source


def test_no_output_names_the_machine_that_recorded_it(file: Path) -> None:
    texts = [str(manifest.CHECKOUT), "/work/", "/root/", "/home/vagrant", "pytest-of", "pyctr_lite-notebooks-"]
    for cell in code_cells(file):
        for output in cell.outputs:
            found = [text for text in texts if text in text_of(output)]
            assert not found, (found, cell.source)


def test_root_makes_no_file_under_a_name_that_another_user_could_create_first(file: Path) -> None:
    """Anybody can make links in /tmp and /var/tmp, so cells make their files in /srv, which belongs to root."""
    for cell in code_cells(file):
        assert not re.search(r"/tmp\b", cell.source) or "O_EXCL" in cell.source, cell.source


def test_cells_and_their_outputs_are_short(file: Path) -> None:
    for cell in code_cells(file):
        lines = cell.source.splitlines()
        assert len(lines) <= MAX_LINES, cell.source
        assert max(map(len, lines)) <= MAX_COLUMNS, cell.source
        for output in cell.outputs:
            assert text_of(output).count("\n") <= MAX_OUTPUT_LINES, cell.source


def test_no_statements_are_joined_by_a_semicolon(file: Path) -> None:
    for cell in code_cells(file):
        tokens = tokenize.generate_tokens(io.StringIO(python_of(cell)).readline)
        assert ";" not in [token.string for token in tokens if token.type == tokenize.OP], cell.source


def test_a_block_begins_on_a_line_of_its_own(file: Path) -> None:
    """Not `if x: y`, `for …: y`, `try: y` or `def f(): y` on one line."""
    for cell in code_cells(file):
        lines = python_of(cell).splitlines()
        for statement in first_statements(ast.parse(python_of(cell))):
            assert not lines[statement.lineno - 1][: statement.col_offset].strip(), cell.source


def first_statements(module: ast.Module) -> Iterator[ast.stmt]:
    """Yield the first statement of every block in a module; `elif` is not the start of one."""
    for node in ast.walk(module):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if not isinstance(block, list) or not block or isinstance(node, ast.Module):
                continue
            if not (name == "orelse" and isinstance(node, ast.If) and isinstance(block[0], ast.If)):
                yield block[0]


@pytest.mark.parametrize(
    "source",
    ["if x: y", "for x in y: z", "try: x\nexcept E: y", "def f(): x", "if x:\n    y\nelse: z", "with x: y"],
)
def test_the_rule_of_blocks_finds_one_line_forms(source: str) -> None:
    lines = source.splitlines()
    blocks = first_statements(ast.parse(source))
    assert any(lines[block.lineno - 1][: block.col_offset].strip() for block in blocks)


def test_each_notebook_links_to_the_glossary_once_in_its_first_cell(file: Path) -> None:
    counts = [cell.source.count("](../docs/GLOSSARY.md)") for cell in read(file).cells]
    assert counts[0] == sum(counts) == 1


def test_the_glossary_explains_each_term_once() -> None:
    terms = re.findall(r"^- \*\*(.+?)\*\*: ", GLOSSARY.read_text(), flags=re.MULTILINE)
    assert len(terms) >= 40
    assert len(set(terms)) == len(terms)


def test_tags_are_known_and_a_cell_with_ignored_output_asserts(file: Path) -> None:
    for cell in code_cells(file):
        tags = set(cell.metadata.get("tags", []))
        assert tags <= TAGS, cell.source
        if "nbval-ignore-output" in tags and not re.search(r"check\(|yours\(\)|predict", cell.source):
            assert "assert" in cell.source or "plot" in tags, cell.source
        if "plot" in tags:
            assert "assert" in cell.source, cell.source


def test_the_text_has_headings_folded_answers_and_man_pages(file: Path) -> None:
    cells = read(file).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert len(re.findall(r"^#{1,3} ", text, flags=re.MULTILINE)) >= 5
    assert "<details>" in text, "answers are folded"
    assert re.search(r"man7?\b|\(\d\)", text), "man pages for further reading"


def test_each_notebook_has_a_number_of_its_own_and_each_lab_names_its_notebook() -> None:
    numbers = [int(file.name.partition("_")[0]) for file in FILES]
    assert numbers[:7] == list(range(7))
    assert len(set(numbers)) == len(numbers)
    assert [lab.notebook for lab in manifest.load()] == [file.name for file in [*FILES[1:6], *FILES[7:9]]]
