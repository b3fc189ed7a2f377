"""SECURITY.md against the tests: every vulnerability has a test that exists, or a reason from the list."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

TEXT = (REPOSITORY / "SECURITY.md").read_text()
NUMBER = re.compile(r"CVE-20\d\d-\d{4,6}|GHSA(?:-[0-9a-z]{4}){3}")


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
def test_every_vulnerability_has_an_existing_test_or_a_reason(row: list[str]) -> None:
    vulnerability, software, fault, answer = row
    assert NUMBER.fullmatch(vulnerability)
    assert software
    assert fault
    if answer.startswith("not applicable: "):
        assert answer.removeprefix("not applicable: ") in REASONS
    else:
        path, _, name = answer.strip("`").partition("::")
        assert name in functions_of(path), f"{path} has no test {name}"


def test_the_table_is_complete_and_sorted() -> None:
    names = [row[0] for row in ENGINES]
    assert len(names) > 150
    assert len(set(names)) == len(names)
    numbers = [tuple(map(int, name[4:].split("-"))) for name in names if name.startswith("CVE")]
    assert numbers == sorted(numbers)
    used = {row[3].removeprefix("not applicable: ") for row in ENGINES if row[3].startswith("not")}
    assert used == REASONS, "each reason is used"


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "tests/security").glob("test_*.py")), ids=lambda path: path.stem
)
def test_a_vulnerability_named_in_a_test_is_in_the_table(path: Path) -> None:
    named = {row[0] for row in [*ENGINES, *RELATED]}
    assert set(NUMBER.findall(path.read_text())) - named == set()


def test_every_guarantee_has_code_and_tests() -> None:
    guarantees = rows("Guarantees")
    assert len(guarantees) > 5
    linked = set()
    for _, code, tests in guarantees:
        for cell, top in ((code, "pyctr_lite/"), (tests, "tests/")):
            links = re.findall(r"\]\(([^)]+)\)", cell)
            assert links
            assert [link for link in links if not link.startswith(top) or not (REPOSITORY / link).is_file()] == []
            linked |= set(links)
    ours = {f"tests/security/{path.name}" for path in (REPOSITORY / "tests/security").glob("test_*.py")}
    assert ours - linked == {"tests/security/test_security_md.py"}, "each file of attacks belongs to a guarantee"
