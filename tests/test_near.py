"""Suggestions for a mistyped word, quick whatever is typed."""

from __future__ import annotations

import time

import pytest

from pyctr_lite import near


@pytest.mark.parametrize(
    ("word", "meant"), [("memroy", "memory"), ("detatch", "detach"), ("me", "memory"), ("x", ""), ("zzz", "")]
)
def test_the_nearest_word(word: str, meant: str) -> None:
    assert near.nearest(word, ["memory", "detach", "rm"]) == meant


@pytest.mark.parametrize("length", [101, 5000, 100_000])
def test_a_long_word_costs_nothing(length: int, slowness: float) -> None:
    began = time.monotonic()
    assert near.nearest("x" * length, ["x" * length + "y", *(f"{'x' * 4999}{n}" for n in range(100))]) == ""
    assert time.monotonic() - began < 0.1 * slowness
