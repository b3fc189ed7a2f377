"""Suggestions for a typo, fast for words of any length."""

from __future__ import annotations

import time

import pytest

from pyctr_lite import suggest


@pytest.mark.parametrize(
    ("word", "meant"), [("memroy", "memory"), ("detatch", "detach"), ("me", "memory"), ("x", ""), ("zzz", "")]
)
def test_the_closest_known_word_is_found(word: str, meant: str) -> None:
    assert suggest.closest(word, ["memory", "detach", "rm"]) == meant


def test_a_suggestion_is_a_question() -> None:
    assert suggest.did_you_mean("memroy", ["memory"], prefix="--") == "did you mean --memory?"
    assert suggest.did_you_mean("zzz", ["memory"]) == ""


@pytest.mark.parametrize("length", [101, 5000, 100_000])
def test_a_long_word_takes_no_time(length: int, slowness: float) -> None:
    began = time.monotonic()
    assert suggest.closest("x" * length, ["x" * length + "y", *(f"{'x' * 4999}{n}" for n in range(100))]) == ""
    assert time.monotonic() - began < 0.1 * slowness
