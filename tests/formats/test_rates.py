"""Rates of a network in tc's words."""

from __future__ import annotations

import re

import pytest

from pyctr_lite.formats import rates


@pytest.mark.parametrize(
    ("text", "rate", "shown"),
    [
        ("20mbit", 2_500_000, "20Mbit"),
        ("20MBit", 2_500_000, "20Mbit"),
        ("1gbit", 125_000_000, "1Gbit"),
        ("0.5kbit", 62, "496bit"),
        ("64kbps", 64_000, "512Kbit"),
        ("2.5mbps", 2_500_000, "20Mbit"),
        ("1mibit", 131_072, "1048576bit"),
        ("1kibps", 1024, "8192bit"),
        ("8000", 1000, "8Kbit"),
        ("8bit", 1, "8bit"),
        ("8tbit", 10**12, "8Tbit"),
    ],
)
def test_a_rate_is_read_and_shown_as_by_tc(text: str, rate: int, shown: str) -> None:
    assert rates.bytes_per_second(text) == rate
    assert rates.text_of(rate) == shown


@pytest.mark.parametrize(
    "text", ["", "mbit", "20mb", "20m", "20 mbit", "-1mbit", "1e6", "1.2.3mbit", "²mbit", "20%"]
)
def test_other_words_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=f"^invalid rate '{re.escape(text)}': use a number and a unit"):
        rates.bytes_per_second(text)


@pytest.mark.parametrize("text", ["0.1bit", "7bit", "9tbit", "9" * 40 + "tbps"])
def test_a_rate_that_the_kernel_does_not_take_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="from 8bit to 8tbit"):
        rates.bytes_per_second(text)


@pytest.mark.parametrize("text", ["0", "0bit", "0.0mbps"])
def test_zero_means_no_limit(text: str) -> None:
    assert rates.bytes_per_second(text) == 0
