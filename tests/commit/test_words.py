"""Words of a Dockerfile: quotes, escapes and variables."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctr_lite.commit import words
from pyctr_lite.errors import InvalidArgument

VARIABLES = {
    "HOME": "/home",
    "EMPTY": "",
    "FILE": "archive.tar.gz",
    "PATH_LIKE": "/a/b/c",
    "WORDS": " a  b ",
    "É": "e",
}

CASES = [
    ("plain", "plain"),
    ("$HOME/x", "/home/x"),
    ("${HOME}x", "/homex"),
    ("$HOMEx", ""),
    ("a$.b$", "a$.b$"),
    ("$1x$?y$@", "xy"),
    ("$É", "e"),
    (r"\$HOME", "$HOME"),
    (r"a\b\\c\ d", r"ab\c d"),
    ("end\\", "end"),
    ("'$HOME \\x'", "$HOME \\x"),
    ('"$HOME \\x \\" \\$ \\\\"', '/home \\x " $ \\'),
    ("${NONE:-a$HOME}", "a/home"),
    ("${NONE-'a}b'}", "a}b"),
    ("${EMPTY-x}${EMPTY:-y}", "y"),
    ("${HOME:+set}${NONE:+set}${EMPTY:+set}${EMPTY+set}", "setset"),
    ("${NONE:-${EMPTY:-deep}}", "deep"),
    ("${HOME?}${EMPTY?}", "/home"),
    ("${FILE#*.}", "tar.gz"),
    ("${FILE##*.}", "gz"),
    ("${FILE%.*}", "archive.tar"),
    ("${FILE%%.*}", "archive"),
    ("${FILE%.zip}${NONE#x}", "archive.tar.gz"),
    ("${FILE#archiv?}", ".tar.gz"),
    ("${PATH_LIKE/\\//-}", "-a/b/c"),
    ("${PATH_LIKE//\\//-}", "-a-b-c"),
    ("${FILE/./}", "archivetar.gz"),
    ("${FILE/a*r/x}", "x.gz"),
    ("${FILE#\\*}", "archive.tar.gz"),
]


@pytest.mark.parametrize(("word", "expected"), CASES)
def test_a_word_is_expanded_as_buildkit_does(word: str, expected: str) -> None:
    assert words.expand(word, VARIABLES) == expected


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("'open", "single-quote"),
        ('"open', "double-quote"),
        ('"open\\"', "double-quote"),
        ("${HOME", "missing '}'"),
        ("${", "missing '}'"),
        ("${}", "bad substitution"),
        ("${:x}", "bad substitution"),
        ("${HOME!x}", "unsupported modifier (!)"),
        ("${HOME:=x}", "unsupported modifier (:=)"),
        ("${HOME:-x", "missing '}'"),
        ("${HOME/x}", "missing '/'"),
        ("${NONE?}", "NONE: is not allowed to be unset"),
        ("${EMPTY:?}", "EMPTY: is not allowed to be empty"),
        ("${NONE:?give $HOME}", "NONE: give /home"),
        ("${HOME#\\x}", "invalid escape"),
    ],
)
def test_a_broken_word_is_refused_with_the_reason(word: str, reason: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        words.expand(word, VARIABLES)
    assert reason in caught.value.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b  c ", ["a", "b", "c"]),
        ("x${WORDS}y", ["x", "a", "b", "y"]),
        ('x"${WORDS}"y', ["x a  b y"]),
        ("'a b' c\\ d", ["a b", "c d"]),
        ("$NONE", []),
    ],
)
def test_a_text_is_split_after_its_expansion_outside_quotes(text: str, expected: list[str]) -> None:
    assert words.expand_words(text, VARIABLES) == expected


def test_the_escape_character_can_be_a_backquote() -> None:
    assert words.expand("C:\\x`$HOME $HOME", VARIABLES, "`") == "C:\\x$HOME /home"


def test_quotes_in_a_document_stay() -> None:
    assert words.expand("say \"$HOME\" 'it'", VARIABLES, quotes=False) == "say \"/home\" 'it'"


def test_a_word_has_a_maximum_size_and_depth() -> None:
    """Else forty lines `ENV A=$A$A` take terabytes of memory."""
    large = {"A": "a" * (1 << 20)}
    assert len(words.expand("$A" * 4, large)) == 4 << 20
    for word in ("$A" * 5, '"' + "$A" * 5 + '"', "${A//a/aaaaa}"):
        with pytest.raises(InvalidArgument, match="more than 4194304 characters"):
            words.expand(word, large)
    assert words.expand("${a:-" * 50 + "x" + "}" * 50, {}) == "x"
    with pytest.raises(InvalidArgument, match="more than 50 deep"):
        words.expand("${a:-" * 5000 + "x" + "}" * 5000, {})


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
def test_a_pattern_matches_as_one_that_tries_everything(pattern: str, value: str) -> None:
    everything = pattern.replace("*", ".*").replace("?", ".")
    assert words.expand("${V//" + pattern + "/-}", {"V": value}) == re.sub(everything, "-", value)
    ends = [end for end in range(len(value) + 1) if re.fullmatch(everything, value[:end])] or [0]
    assert words.expand("${V#" + pattern + "}", {"V": value}) == value[ends[0] :]
    starts = [start for start in range(len(value) + 1) if re.fullmatch(everything, value[start:])] or [len(value)]
    assert words.expand("${V%" + pattern + "}", {"V": value}) == value[: starts[-1]]


def test_no_pattern_takes_exponential_time() -> None:
    began = time.monotonic()
    for word in ("${V##" + "*a" * 12 + "b}", "${V%%b" + "a*" * 12 + "}", "${V//" + "*a" * 12 + "b/x}"):
        assert words.expand(word, {"V": "a" * 250}) == "a" * 250
    assert time.monotonic() - began < 10
