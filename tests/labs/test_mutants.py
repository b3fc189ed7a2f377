"""The mutator makes the wrong versions that it should and no others, and the score counts them rightly."""

from __future__ import annotations

import ast
import errno
import os
import textwrap
from pathlib import Path
from types import ModuleType

import pytest

from labs.kit.exercises import manifest
from tests.labs.mutants import equivalents, mutate, run, score
from tests.labs.mutants.equivalents import Equivalent
from tests.labs.mutants.mutant import BASES, Mutant, difference, function, learners_file, mutants_of, original
from tests.labs.mutants.run import Outcome

EXERCISES = manifest.exercises()
HERE = ModuleType("here")
HERE.os, HERE.errno = os, errno  # type: ignore[attr-defined]


def changes(
    text: str, head: str = "def f(names: list[str], options: dict[str, int], dirfd: int):"
) -> dict[str, str]:
    """What becomes of a function's body, line by line: the new body, and the operator's name."""
    [node] = ast.parse(f"{head}\n{textwrap.indent(text, '    ')}").body
    assert isinstance(node, ast.FunctionDef)
    found = {}
    for operator, changed in mutate.changes(node, HERE):
        head, _, body = ast.unparse(changed).partition("\n")
        found[textwrap.dedent(body)] = operator
        found.setdefault(head, operator)
    return found


@pytest.mark.parametrize(
    ("before", "after", "operator"),
    [
        ("return 1 < x", "return 1 <= x", "comparison swapped"),
        ("return x == y", "return x != y", "comparison swapped"),
        ("return x and y", "return x or y", "and for or"),
        ("return x and y", "return y", "operand dropped"),
        ("return not x", "return x", "operator dropped"),
        ("return x is not None", "return x", "falsiness for None"),
        ("return x is None", "return not x", "falsiness for None"),
        ("return x if x else 5", "return x if x is not None else 5", "falsiness for None"),
        ("return x if x else 5", "return x if True else 5", "condition forced"),
        ("return x | y", "return x ^ y", "operator swapped"),
        ("return x | y", "return x + y", "operator swapped"),
        ("return x | y", "return y", "flag or part dropped"),
        ("return x // 2", "return int(x / 2)", "divided as a float"),
        ("return x[3]", "return x[2]", "constant changed"),
        ("return True", "return False", "constant changed"),
        ("return 'name'", "return 'namex'", "constant changed"),
        ("return b'..'", "return b'.'", "constant changed"),
        ("return f'{x}/{y}'", "return f'{x}{y}'", "part of a text dropped"),
        ("return f'{x!r}'", "return f'{x}'", "conversion dropped"),
        ("raise OSError(f'there is no {x}')", "raise OSError('')", "words of a message lost"),
        ("return g(x, y)", "return g(y, x)", "arguments swapped"),
        ("return g(x, y)", "return g(x)", "argument dropped"),
        ("return g(a=x, b=y)", "return g(b=y)", "keyword dropped"),
        ("return g(a=x, b=y)", "return g(a=y, b=x)", "values of keywords swapped"),
        ("return sorted(x)", "return x", "wrapper dropped"),
        ("return dict(x)", "return x", "wrapper dropped"),
        ("return x.split()", "return x", "method dropped"),
        ("return x.split(':')", "return x.split(':', 2)", "call of near kin"),
        ("return x.startswith('.')", "return '.' in x", "call of near kin"),
        ("return x.get('a')", "return x['a']", "call of near kin"),
        ("return options.get('a')", "return options.pop('a', None)", "taken out of what the caller gave"),
        ("return x.lstrip('.')", "return x.removeprefix('.')", "attribute of near kin"),
        ("return os.stat(x)", "return os.lstat(x)", "attribute of near kin"),
        ("return os.listdir(x)", "return [name for name in os.listdir(x) if not name.startswith('.')]", ""),
        ("return errno.EPERM", "return errno.EACCES", "attribute of near kin"),
        ("raise KeyError(x)", "raise ValueError(x)", "name of near kin"),
        ("return x[:-1]", "return x", "slice dropped"),
        ("return (x, y)", "return (y, x)", "elements swapped"),
        ("return [*x, y]", "return [y]", "element dropped"),
        ("return {'a': x, 'b': y}", "return {'b': y}", "element dropped"),
        ("return [a for a in x if a]", "return [a for a in x]", "condition dropped"),
        ("return [a for a in x]", "return [a for a in list(x)[:1]]", "loop over the first only"),
        ("if x:\n    return x\ng()", "if x:\n    return None\ng()", "return value dropped"),
        ("x.y = 1", "pass", "statement deleted"),
        ("x |= y", "x = y", "assigned, not added"),
        ("os.stat(x)", "try:\n    os.stat(x)\nexcept Exception:\n    pass", "error passed over"),
        ("g(x)\nh(x)", "h(x)\ng(x)", "statements swapped"),
        ("for a in x:\n    g(a)", "for a in reversed(list(x)):\n    g(a)", "loop reversed"),
        (
            "for a in x:\n    if a:\n        break\n    g()",
            "for a in x:\n    if a:\n        continue\n    g()",
            "break and continue",
        ),
        (
            "for a in x:\n    if a:\n        continue\n    g()\nh()",
            "for a in x:\n    if a:\n        return\n    g()\nh()",
            "return for continue",
        ),
        ("while x:\n    g()", "if x:\n    g()", "loop made once"),
        ("if x:\n    g()\nelse:\n    h()", "if x:\n    g()", "else dropped"),
        ("try:\n    g()\nexcept KeyError:\n    h()", "try:\n    g()\nexcept OSError:\n    h()", "handler widened"),
        ("try:\n    g()\nexcept KeyError:\n    h()", "g()", "handler removed"),
        (
            "try:\n    g()\nexcept KeyError:\n    h()",
            "try:\n    g()\nexcept KeyError:\n    pass",
            "error swallowed",
        ),
        ("try:\n    g()\nfinally:\n    h()", "g()", "finally removed"),
        ("try:\n    g()\nfinally:\n    h()", "g()\nh()", "finally only on success"),
        (
            "for a in x:\n    try:\n        g()\n    except OSError:\n        h()",
            "try:\n    for a in x:\n        g()\nexcept OSError:\n    h()",
            "try around the loop",
        ),
        ("with closing(x) as fd:\n    g(fd)", "fd = x\ng(fd)", "never closed"),
        ("with closing(x) as fd:\n    g(fd)", "fd = x\ng(fd)\nos.close(fd)", "closed only on success"),
        ("for a in names:\n    g(a)", "for a in [names.pop(0) for _ in range(len(names))]:\n    g(a)", ""),
        (
            "for a, b in options.items():\n    g(a)",
            "for a, b in [options.popitem() for _ in range(len(options))]:\n    g(a)",
            "caller's dictionary emptied",
        ),
        (
            "return g(dirfd)",
            "try:\n    return g(dirfd)\nfinally:\n    os.close(dirfd)",
            "caller's descriptor closed",
        ),
        ("x = []\nreturn x", "f.x = f.__dict__.get('x', [])\nreturn f.x", "state kept between calls"),
        ("match x:\n    case 1:\n        g()\n    case 2:\n        h()", "match x:\n    case 2:\n        h()", ""),
    ],
)
def test_each_kind_of_mistake_is_made(before: str, after: str, operator: str) -> None:
    found = changes(before)
    assert after in found
    assert operator in ("", found[after])


def test_octal_modes_become_other_modes() -> None:
    [found] = [each for each in mutants_of(manifest.find("5.3"), "engine") if "mode=0o666" in each.after]
    assert "mode=0o600" in found.before


def test_a_default_argument_is_changed() -> None:
    assert "def f(x=1):" in changes("return x", "def f(x=0):")


@pytest.mark.parametrize(
    ("text", "never"),
    [
        ("return os.O_RDONLY | os.O_CLOEXEC", "return os.O_CLOEXEC"),  # O_RDONLY is 0
        ("return os.O_CREAT | os.O_EXCL", "return os.O_CREAT ^ os.O_EXCL"),  # no bit is in both
        ("return os.stat(x)", "return os.stats(x)"),
        ("return x.get('a')", "return x.pop('a', None)"),
        ("a = x.y\ng()", "g()\na = x.y"),
        ("raise OSError(f'{x}: no such file')", "raise OSError(f'{x}')"),
        ("explain.step('a step', g)", "explain.step('', g)"),
        ("x: int = y\nreturn x", "x: None = y\nreturn x"),
        ("parts = g()\nparts.append(x)", "parts = g()\ntry:\n    parts.append(x)\nexcept Exception:\n    pass"),
    ],
)
def test_what_does_the_same_is_no_mutant(text: str, never: str) -> None:
    assert changes(text)
    assert never not in changes(text)


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.id)
def test_a_learners_file_finds_all_that_its_function_uses(exercise: manifest.Exercise, base: str) -> None:
    right = function(exercise, base)
    names: dict[str, object] = {}
    code = compile(learners_file(exercise, base, right), exercise.file, "exec")
    exec(code, names)
    [written] = [const for const in code.co_consts if getattr(const, "co_name", "") == exercise.name]
    used = {name for name in written.co_names if name.isidentifier()}
    attributes = {node.attr for node in ast.walk(right) if isinstance(node, ast.Attribute)}
    attributes |= {node.id for node in ast.walk(right) if isinstance(node, ast.Name)}
    builtins = vars(__import__("builtins"))
    assert {name for name in used if name not in names and name not in builtins} <= attributes
    assert callable(names[exercise.name])


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda exercise: exercise.id)
def test_every_exercise_has_enough_mutants_and_each_its_own_name(exercise: manifest.Exercise) -> None:
    found = mutants_of(exercise, "engine")
    assert len(found) >= 10
    assert len({mutant.key for mutant in found}) == len(found)
    for mutant in found:
        compile(mutant.file, exercise.file, "exec")


def test_a_mutants_name_survives_a_change_elsewhere_in_the_function() -> None:
    def names(text: str) -> set[tuple[str, str]]:
        [node] = ast.parse(text).body
        assert isinstance(node, ast.FunctionDef)
        return {difference(ast.unparse(node), ast.unparse(new))[:2] for _, new in mutate.changes(node, HERE)}

    moved = ("def f(x):", "h()")  # a swap's name has its neighbours in it
    first = {pair for pair in names("def f(x):\n    h()\n    return x == 1") if not pair[0].startswith(moved)}
    assert first < names("def f(x):\n    if x:\n        x = g(x)\n    h()\n    return x == 1")


def test_no_equivalent_is_stale() -> None:
    mutants = [mutant for exercise in EXERCISES for base in BASES for mutant in mutants_of(exercise, base)]
    assert equivalents.stale(equivalents.load(), mutants) == []


def test_an_entry_that_names_nothing_is_stale_and_one_to_paste_is_not(tmp_path: Path) -> None:
    mutants = list(mutants_of(manifest.find("4.2"), "engine"))
    for mutant in mutants:
        path = tmp_path / "list.toml"
        path.write_text(equivalents.as_entry(mutant).replace('reason = ""', 'reason = "it is so"'))
        [entry] = equivalents.load(path)
        assert [each for each in mutants if entry.names(each)] == [mutant]
    gone = Equivalent("4.2", "no such line", "none", "it was so")
    assert equivalents.stale([entry, gone], mutants) == [gone]


@pytest.mark.parametrize("reasons", [["", "x"], ["x", "x"]])
def test_an_entry_has_a_reason_and_is_there_once(tmp_path: Path, reasons: list[str]) -> None:
    mutant = mutants_of(manifest.find("1.1"), "engine")[0]
    path = tmp_path / "list.toml"
    entries = [equivalents.as_entry(mutant).replace('reason = ""', f'reason = "{reason}"') for reason in reasons]
    path.write_text("".join(entries))
    with pytest.raises(ValueError, match=r"reason|twice"):
        equivalents.load(path)


def test_the_score_counts_and_says_what_is_wrong() -> None:
    exercise = manifest.find("1.1")
    first, second, third, *others = mutants_of(exercise, "engine")
    entry = Equivalent("1.1", third.before, third.after, "it is so", third.nth)
    found = score.Score(exercise, [entry])
    died, lived = Outcome("failed", "test_1_1_x", "wrong", 0), Outcome("passed", "", "", 0)
    found.add(original(exercise, "engine"), lived)
    found.add(first, died)
    found.add(third, lived)
    assert found.line.split() == ["1.1", "2", "1", "1", "0", "100.0", "%"]
    assert found.problems == []
    found.add(second, lived)
    assert found.line.split() == ["1.1", "3", "1", "1", "1", "50.0", "%"]
    assert found.problems == ["1.1: 50.0 % of the mutants die, and 95 % have to"]
    assert second.diff in found.report
    found.add(third, died)
    assert "listed as equivalent, but test_1_1_x fails (wrong)" in found.errors[0]
    found.add(original(exercise, "engine"), died)
    assert "1.1: the engine function fails test_1_1_x: wrong" in found.errors
    assert others


def test_a_wrong_version_is_killed_and_a_right_one_is_not() -> None:
    exercise = manifest.find("5.1")
    wrong = next(each for each in mutants_of(exercise, "engine") if "loop reversed" in each.operator)
    right = original(exercise, "engine")
    checked: list[tuple[Mutant, Outcome]] = [(each, run.check(each)) for each in (right, wrong)]
    assert [(each.operator, outcome.killed) for each, outcome in checked] == [("", False), ("loop reversed", True)]
