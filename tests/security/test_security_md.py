"""SECURITY.md against the tests: every vulnerability has a test that exists, or a reason from the list."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

TEXT = (REPOSITORY / "SECURITY.md").read_text()
FAULT = re.compile(r"CVE-20\d\d-\d{4,6}|GHSA(?:-[0-9a-z]{4}){3}")


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading, without the header row."""
    section = re.split(r"^#+ ", TEXT.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.M)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


ENGINES, RELATED = rows("Known vulnerabilities of container engines"), rows("Related")
REASONS = set(re.findall(r"^- \*\*(.+)\*\*", TEXT.split("Reasons:\n", 1)[1], flags=re.M))


def functions_of(path: str) -> set[str]:
    tree = ast.parse((REPOSITORY / path).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


@pytest.mark.parametrize("row", [*ENGINES, *RELATED], ids=lambda row: row[0])
def test_every_fault_has_a_test_that_exists_or_a_reason(row: list[str]) -> None:
    fault, where, what, answer = row
    assert FAULT.fullmatch(fault)
    assert where
    assert what
    if answer.startswith("not applicable: "):
        assert answer.removeprefix("not applicable: ") in REASONS
    else:
        path, _, name = answer.strip("`").partition("::")
        assert name in functions_of(path), f"{path} has no test {name}"


def test_the_table_is_whole_and_in_order() -> None:
    faults = [row[0] for row in ENGINES]
    assert len(faults) > 150
    assert len(set(faults)) == len(faults)
    numbers = [tuple(map(int, fault[4:].split("-"))) for fault in faults if fault.startswith("CVE")]
    assert numbers == sorted(numbers)
    used = {row[3].removeprefix("not applicable: ") for row in ENGINES if row[3].startswith("not")}
    assert used == REASONS, "each reason is used"


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "tests/security").glob("test_*.py")), ids=lambda path: path.stem
)
def test_a_fault_that_a_test_names_is_in_the_table(path: Path) -> None:
    named = {row[0] for row in [*ENGINES, *RELATED]}
    assert set(FAULT.findall(path.read_text())) - named == set()


def test_every_kind_has_its_code_and_its_tests() -> None:
    kinds = rows("What is promised")
    assert len(kinds) > 5
    told = set()
    for _, code, tried in kinds:
        for cell, top in ((code, "pyctr_lite/"), (tried, "tests/")):
            links = re.findall(r"\]\(([^)]+)\)", cell)
            assert links
            assert [link for link in links if not link.startswith(top) or not (REPOSITORY / link).is_file()] == []
            told |= set(links)
    ours = {f"tests/security/{path.name}" for path in (REPOSITORY / "tests/security").glob("test_*.py")}
    assert ours - told == {"tests/security/test_security_md.py"}, "each file of attacks belongs to a kind"
