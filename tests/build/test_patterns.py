"""Patterns of .dockerignore and COPY."""

from __future__ import annotations

import e2b_dockerfile_utils
import hypothesis
import pytest
from hypothesis import strategies

from pyctr_lite.build import patterns
from pyctr_lite.errors import InvalidArgument

NAMES = strategies.sampled_from(["a", "b", "ab", "a.txt", "b.txt", ".git", "x-y"])
PATTERNS = strategies.sampled_from(
    "a * ** *.txt !a !*.txt a/* **/b **/*.txt !**/a.txt a/** !a/b [a-b] ? [^a] a/**/b /a a/ \\a */ a/*/b "
    "**.txt !**b **.t*".split()
)


@hypothesis.given(strategies.lists(PATTERNS, max_size=4), strategies.lists(NAMES, min_size=1, max_size=4))
def test_exclusions_are_those_of_moby(lines: list[str], names: list[str]) -> None:
    path = "/".join(names)
    excluded = patterns.Exclusions(lines).excludes(path)
    assert excluded == e2b_dockerfile_utils.PatternMatcher(lines).matches(path)


@pytest.mark.parametrize(
    ("lines", "excluded", "included"),
    [
        (["*.md", "!README.md"], ["x.md"], ["README.md", "d/x.md"]),
        (["d", "!d/keep"], ["d/x", "d/sub/keep"], ["d/keep"]),
        (["# *", "", "  spaced  "], ["spaced"], ["other"]),
        (["/top", "./dot", "a//b"], ["top", "dot", "a/b"], ["x/top"]),
        (["!x", "x"], ["x"], ["y"]),
        (["**.pyc"], ["a.pyc", "d/sub/a.pyc", ".pyc"], ["a.py"]),
    ],
)
def test_the_last_match_wins(lines: list[str], excluded: list[str], included: list[str]) -> None:
    found = patterns.Exclusions(lines)
    assert [path for path in excluded + included if found.excludes(path)] == excluded


def test_a_directory_is_searched_only_if_something_below_it_can_be_included() -> None:
    found = patterns.Exclusions(["*", "!a/b/c", "!x*/y"])
    assert [path for path in ("a", "a/b", "a/b/c", "a/d", "xx", "xx/y") if found.may_include_below(path)] == [
        "a",
        "a/b",
        "xx",
    ]
    assert patterns.Exclusions(["*", "!**/x"]).may_include_below("any/thing")


@pytest.mark.parametrize("pattern", ["[", "[a", "[]", "[a-", "a\\", "[-a]", "!"])
def test_a_broken_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidArgument):
        patterns.Exclusions([pattern])


@hypothesis.given(
    strategies.text("ab*?/[]^", max_size=12), strategies.text("ab/", max_size=12), strategies.booleans()
)
def test_matching_without_backtracking_gives_the_same_result(pattern: str, text: str, deep: bool) -> None:
    results = []
    for limit in (0, 100):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(patterns, "_MAX_BACKTRACKING", limit)
            try:
                results.append(patterns.compile(pattern, deep=deep).fullmatch(text) is not None)
            except InvalidArgument:
                results.append(None)
    assert results[0] == results[1]


def test_no_pattern_takes_long() -> None:
    """A pattern of a repository's .dockerignore could keep a build busy for years."""
    text = "a" * 250 + "/" + "a" * 250
    for pattern in ("**a" * 20 + "b", "*a" * 20 + "b", "**/a/" * 20 + "b", "**/*a*a*a*a*a" * 5 + "b"):
        assert patterns.compile(pattern, deep=True).fullmatch(text) is None
    assert patterns.compile("**/" + "*a" * 100, deep=True).fullmatch(text)


def test_two_stars_of_copy_are_one() -> None:
    assert patterns.compile("**", deep=False).fullmatch("a")
    assert not patterns.compile("**", deep=False).fullmatch("a/b")
