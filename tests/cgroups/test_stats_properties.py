"""Properties of the statistics parsers: unknown lines and keys, which kernels add, are skipped."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyctr_lite.cgroups import stats

KEYS = st.from_regex(r"[a-z_]{1,12}(\.[a-z]{1,4})?", fullmatch=True).filter(
    lambda key: key not in ("rbytes", "wbytes")
)
NUMBERS = st.integers(min_value=0, max_value=2**64 - 1)
DEVICES = st.tuples(st.integers(0, 4095), st.integers(0, 1048575))


@given(st.dictionaries(KEYS, NUMBERS), st.lists(st.text(st.characters(exclude_characters="\r\n"))))
def test_keyed_numbers_are_parsed_back(values: dict[str, int], strange: list[str]) -> None:
    """A line of another form is skipped, and is never an error."""
    lines = [f"{key} {value}" for key, value in values.items()]
    assert stats.parse_keyed("\n".join(lines)) == values
    stats.parse_keyed("\n".join([*strange, *lines]))


@given(st.dictionaries(DEVICES, st.tuples(NUMBERS, NUMBERS)), KEYS)
def test_io_stat_is_parsed_back(disks: dict[tuple[int, int], tuple[int, int]], more: str) -> None:
    lines = [
        f"{major}:{minor} rbytes={read} wbytes={written} rios=1 wios=2 {more}=3"
        for (major, minor), (read, written) in disks.items()
    ]
    wanted = [(*device, *values) for device, values in disks.items()]
    assert stats.parse_io_stat("\n".join(lines)) == wanted
    assert stats.parse_io_stat("\n".join([*lines, "", "8:0", f"8:16 {more}=1"])) == wanted


@given(st.dictionaries(DEVICES, st.tuples(NUMBERS, NUMBERS)))
def test_blkio_is_parsed_back(disks: dict[tuple[int, int], tuple[int, int]]) -> None:
    lines = [
        f"{major}:{minor} {kind} {value}"
        for (major, minor), (read, written) in disks.items()
        for kind, value in (("Read", read), ("Write", written), ("Sync", 1), ("Total", read + written))
    ]
    wanted = [(*device, *values) for device, values in disks.items()]
    assert stats.parse_blkio("\n".join([*lines, "Total 12"])) == wanted
