"""The house rules that a machine can check, and the agreement of README and Makefile."""

from __future__ import annotations

import ast
import re
import subprocess
import tokenize
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = REPOSITORY / "pyctr_lite"
MODULES = sorted(PACKAGE.rglob("*.py"))
OURS = [*MODULES, *sorted((REPOSITORY / "make").glob("*.py")), *sorted((REPOSITORY / "tests").rglob("*.py"))]
CHAPTERS = ("namespaces", "cgroups", "rootfs", "volumes", "commit")
LONGEST = 300


def relative(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


@pytest.mark.parametrize("module", MODULES, ids=relative)
def test_a_module_is_read_in_one_sitting(module: Path) -> None:
    lines = len(module.read_text().splitlines())
    assert lines <= LONGEST, f"{lines} lines: split it by what it is about"


@pytest.mark.parametrize("module", MODULES, ids=relative)
def test_modules_and_public_names_have_docstrings(module: Path) -> None:
    parsed = tree(module)
    assert ast.get_docstring(parsed), "the module has no docstring"
    public = [
        node
        for node in parsed.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]
    assert [node.name for node in public if not ast.get_docstring(node)] == []


@pytest.mark.parametrize("module", [path for path in MODULES if path.name == "__init__.py"], ids=relative)
def test_a_package_imports_nothing_by_itself(module: Path) -> None:
    imports = [node for node in ast.walk(tree(module)) if isinstance(node, ast.Import | ast.ImportFrom)]
    if module == PACKAGE / "linux/__init__.py":  # the one that gathers names: from its own modules only
        assert all(
            isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pyctr_lite.linux.")
            for node in imports
        )
    else:
        assert imports == []


@pytest.mark.parametrize("module", MODULES, ids=relative)
def test_chapters_are_called_through_their_modules(module: Path) -> None:
    """After `from pyctr_lite.rootfs.overlay import mount_overlay`, `--labs` could not replace the function."""
    taken = []
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ImportFrom) and re.fullmatch(
            rf"pyctr_lite\.({'|'.join(CHAPTERS)})\.\w+", node.module or ""
        ):
            taken += [f"{node.module}.{name.name}" for name in node.names if name.name[0].islower()]
    assert taken == []


@pytest.mark.parametrize("module", OURS, ids=relative)
def test_no_command_line_goes_through_a_shell(module: Path) -> None:
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Call):
            assert not any(
                word.arg == "shell" and not (isinstance(word.value, ast.Constant) and word.value.value is False)
                for word in node.keywords
            ), f"line {node.lineno}"
            assert ast.unparse(node.func) not in ("os.system", "os.popen"), f"line {node.lineno}"


@pytest.mark.parametrize("module", MODULES, ids=relative)
def test_nothing_sleeps_if_the_kernel_has_an_event(module: Path) -> None:
    """A sleep is allowed if there is no event, and the line says so: `# version 1 has no event for it`."""
    lines = module.read_text().splitlines()
    sleeps = [
        node for node in ast.walk(tree(module)) if isinstance(node, ast.Call) and "sleep" in ast.unparse(node.func)
    ]
    assert [node.lineno for node in sleeps if "has no event for" not in lines[node.lineno - 1]] == []


@pytest.mark.parametrize("module", OURS, ids=relative)
def test_every_todo_has_an_owner(module: Path) -> None:
    with module.open("rb") as file:
        comments = [token.string for token in tokenize.tokenize(file.readline) if token.type == tokenize.COMMENT]
    assert [comment for comment in comments if re.search(r"\b(?:TODO|FIXME|XXX)\b(?!\()", comment)] == []


def targets() -> list[str]:
    lines = re.findall(r"^([a-z][a-z0-9 -]*):.*## ", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    return [name for line in lines for name in line.split()]


def test_the_top_level_has_no_file_of_a_careless_command() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    files = {line for line in listed.splitlines() if "/" not in line}
    documents = {"README.md", "CONTRIBUTING.md", "SECURITY.md"}
    assert files == documents | {"Makefile", "GNUmakefile", "Vagrantfile", "pyproject.toml"} | {
        ".gitattributes",
        ".gitignore",
    }


def test_make_alone_lists_every_target() -> None:
    printed = subprocess.run(["make", "-C", REPOSITORY], check=True, capture_output=True, text=True).stdout
    for target in targets():
        assert re.search(rf"^  make (?:lab1 to lab7|{target}) +\w", printed, re.MULTILINE), target


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["lab8"], "there is no lab 8: they are 1 to 7"),
        (["notebook", "NB=99"], "there is no notebook 99: NB is the beginning of a name in notebooks/"),
        (["notebooks-test", "NB=99"], "there is no notebook 99"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_a_lab_or_notebook_that_does_not_exist_is_one_clear_line(words: list[str], line: str) -> None:
    done = subprocess.run(["make", "VM=0", *words], cwd=REPOSITORY, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert line in done.stderr


def test_the_readme_mentions_every_target_and_no_other() -> None:
    mentioned = set(re.findall(r"\bmake ([a-z][a-z0-9-]*)", re.sub(r"(?m)^#.*", "", readme_code())))
    assert mentioned >= set(targets()) - {"help"}
    assert mentioned <= set(targets())


def test_the_readme_begins_with_the_two_commands() -> None:
    first_screen = (REPOSITORY / "README.md").read_text().splitlines()[:40]
    blocks = re.findall(r"```sh\n(.*?)```", "\n".join(first_screen), re.DOTALL)
    commands = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    assert [line for line in commands if line.startswith("make ")][:2] == ["make demo", "make test"]


def test_the_readmes_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", (REPOSITORY / "README.md").read_text())
    assert [link for link in links if not (REPOSITORY / link).exists()] == []


def readme_code() -> str:
    """Return the code in README: code blocks, and words in backquotes."""
    text = (REPOSITORY / "README.md").read_text()
    return "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL) + re.findall(r"`([^`\n]+)`", text))


HABITS = {
    r"(?<!there )\bis none\b": 0,
    r"\bhas not\b": 5,
    r"\bAgain is fine\b": 0,
    r"\ba line each\b": 0,
    r"\b(?:DESIGN|LABS|STYLE|COURSE|decision) \d": 0,
    r"\btells? (?!apart)": 1,
    r"^What\b": 5,
    r"\bwhere (?:there|it|one|none|that|nothing)\b": 1,
}
"""Habits that make prose hard to read, and the number of times each still occurs. A number may only shrink."""


def prose() -> list[str]:
    """Return the docstrings and comments of the package and of the labs' kit."""
    found = []
    for path in [*MODULES, *sorted((REPOSITORY / "labs/kit").rglob("*.py"))]:
        with path.open("rb") as file:
            found += [token.string for token in tokenize.tokenize(file.readline) if token.type == tokenize.COMMENT]
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                found.append(str(node.value.value))
    return found


def test_habits_that_make_prose_hard_only_shrink() -> None:
    texts = prose()
    counts = {habit: sum(len(re.findall(habit, text)) for text in texts) for habit in HABITS}
    assert counts == HABITS, "a higher count: write it plainly; a lower one: lower the number here"
