"""Ports and ranges of ports."""

import pytest

from pyctr_lite.formats import ports


@pytest.mark.parametrize(
    ("text", "first", "last", "protocol"),
    [("80", 80, 80, "tcp"), ("53/UDP", 53, 53, "udp"), ("8000-8010/sctp", 8000, 8010, "sctp"), ("0", 0, 0, "tcp")],
)
def test_a_port_or_a_range_has_a_protocol(text: str, first: int, last: int, protocol: str) -> None:
    assert ports.parse(text) == (range(first, last + 1), protocol)


@pytest.mark.parametrize("text", ["", "http", "80-", "-80", "80-70", "65536", "1-65536", "1-2-3", "٨٠", "80/icmp"])
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"invalid containerPort|invalid proto"):
        ports.parse(text)


def test_a_port_below_the_minimum_is_refused() -> None:
    with pytest.raises(ValueError, match="invalid containerPort: 0"):
        ports.parse("0", minimum=1)
