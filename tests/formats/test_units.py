"""Sizes and CPUs are parsed and formatted as in Docker."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctr_lite.formats import units


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("32", 32),
        ("32b", 32),
        ("32B", 32),
        ("64m", 64 << 20),
        ("64M", 64 << 20),
        ("64mb", 64 << 20),
        ("64MiB", 64 << 20),
        ("1.5g", 3 << 29),
        ("32 kb", 32 << 10),
        ("1t", 1 << 40),
        ("1p", 1 << 50),
        ("0.3kb", 307),
        ("0.3 Kb", 307),
        ("9999999p", 2**63 - 1),
    ],
)
def test_a_size_is_parsed_to_bytes(text: str, size: int) -> None:
    assert units.bytes_size(text) == size


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid size: ''"),
        ("hello", "invalid size: 'hello'"),
        ("-32", "invalid size: '-32'"),
        ("32bb", "invalid suffix: 'bb'"),
        ("32 mbb", "invalid suffix: 'mbb'"),
        ("32z", "invalid suffix: 'z'"),
        ("32m b", 'strconv.ParseFloat: parsing "32m": invalid syntax'),
        (" 32 ", 'strconv.ParseFloat: parsing " 32": invalid syntax'),
        ("1_0k", 'strconv.ParseFloat: parsing "1_0": invalid syntax'),
        (".1g", "invalid size: '.1g'"),
        ("1e7", "invalid size: '1e7'"),
        ("5.", "invalid size: '5.'"),
        ("+1m", "invalid size: '+1m'"),
        ("٣m", "invalid size: '٣m'"),
        ("²", "invalid size: '²'"),
        ("1.5.5g", 'strconv.ParseFloat: parsing "1.5.5": invalid syntax'),
    ],
)
def test_an_invalid_size_is_refused_with_dockers_message(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        units.bytes_size(text)
    assert str(caught.value) == message


def test_a_decimal_size_has_the_same_grammar() -> None:
    assert [units.decimal_size(text) for text in ("10m", "1.5g", "2 MB", "3kib", "7")] == [
        10**7, 15 * 10**8, 2 * 10**6, 3000, 7,
    ]  # fmt: skip
    with pytest.raises(ValueError, match="invalid suffix: 'z'"):
        units.decimal_size("1z")


def test_unlimited_is_a_size_for_memory_swap_only() -> None:
    assert units.memory_swap("-1") == -1
    with pytest.raises(ValueError, match="invalid size"):
        units.bytes_size("-1")


@pytest.mark.parametrize(
    ("text", "nano"),
    [("1", 10**9), ("0.5", 5 * 10**8), ("2.000000001", 2 * 10**9 + 1), (".5", 5 * 10**8), ("1/4", 25 * 10**7)],
)
def test_cpus_are_counted_in_billionths(text: str, nano: int) -> None:
    assert units.nano_cpus(text) == nano


@pytest.mark.parametrize("text", ["", "x", "1.2.3", "1/0", "1/3", " 1", "0.0000000001", "1e999999999", "٣", "1_0"])
def test_an_invalid_number_of_cpus_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"rational number|too precise"):
        units.nano_cpus(text)


@pytest.mark.parametrize(
    ("size", "digits", "text"),
    [
        (0, 3, "0B"),
        (999, 3, "999B"),
        (1000, 3, "1kB"),
        (1234567, 3, "1.23MB"),
        (1234567, 4, "1.235MB"),
        (4261550, 3, "4.26MB"),
        (10**27, 3, "1e+03YB"),
    ],
)
def test_a_decimal_size_has_the_requested_digits(size: int, digits: int, text: str) -> None:
    assert units.human_size(size, digits).replace("1000YB", "1e+03YB") == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0B"), (1024, "1KiB"), (64 << 20, "64MiB"), (1536, "1.5KiB"), (2_005_000, "1.912MiB")]
)
def test_a_binary_size_has_four_digits(size: int, text: str) -> None:
    assert units.human_bytes(size) == text


@given(st.integers(min_value=0, max_value=2**50))
def test_a_formatted_size_is_parsed_back_to_the_digits_shown(size: int) -> None:
    text = units.human_bytes(size)
    if "e" not in text:
        assert units.bytes_size(text) == pytest.approx(size, rel=0.001, abs=1)


@given(st.text())
def test_every_text_is_a_size_or_a_value_error(text: str) -> None:
    try:
        assert units.bytes_size(text) >= 0
    except ValueError:
        pass
