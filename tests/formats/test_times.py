"""Times are parsed and formatted as in Docker."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctr_lite.formats import times, timestamps
from pyctr_lite.formats.times import HOUR, MINUTE, SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = 24 * HOUR


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (450 * 10**6, "Less than a second"),
        (1 * SECOND, "1 second"),
        (47 * SECOND, "47 seconds"),
        (60 * SECOND, "About a minute"),
        (119 * SECOND, "About a minute"),
        (3 * MINUTE + 59 * SECOND, "3 minutes"),
        (60 * MINUTE, "About an hour"),
        (89 * MINUTE, "About an hour"),
        (90 * MINUTE, "2 hours"),
        (47 * HOUR, "47 hours"),
        (48 * HOUR, "2 days"),
        (13 * DAY, "13 days"),
        (14 * DAY, "2 weeks"),
        (60 * DAY, "2 months"),
        (730 * DAY, "2 years"),
    ],
)
def test_a_duration_is_formatted_as_in_go_units(nanoseconds: int, text: str) -> None:
    assert times.human_duration(nanoseconds) == text


NOW = timestamps.parse("2024-05-01T10:00:00Z")
TWO_MINUTES_AGO = {"FinishedAt": "2024-05-01T09:58:00Z", "ExitCode": 3}
STARTED = {"StartedAt": "2024-05-01T09:59:57Z", "Running": True}


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ({"StartedAt": timestamps.NEVER}, "Created"),
        (STARTED, "Up 3 seconds"),
        (STARTED | {"Paused": True}, "Up 3 seconds (Paused)"),
        (STARTED | {"Health": {"Status": "healthy"}}, "Up 3 seconds (healthy)"),
        (STARTED | {"Health": {"Status": "starting"}}, "Up 3 seconds (health: starting)"),
        (STARTED | {"Restarting": True} | TWO_MINUTES_AGO, "Restarting (3) 2 minutes ago"),
        ({"StartedAt": "2024-05-01T09:00:00Z"} | TWO_MINUTES_AGO, "Exited (3) 2 minutes ago"),
        ({"Dead": True}, "Dead"),
        ({"RemovalInProgress": True}, "Removal In Progress"),
    ],
)
def test_a_state_is_formatted_as_in_ps(state: dict[str, object], text: str) -> None:
    assert times.status(state, NOW) == text


@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1)))
def test_a_time_is_parsed_as_by_datetime(moment: datetime) -> None:
    text = moment.isoformat()
    whole = int(moment.replace(tzinfo=UTC, microsecond=0).timestamp()) * SECOND
    assert timestamps.parse(text + "Z") == whole + moment.microsecond * 1000
    assert timestamps.parse(text + "+05:30") == timestamps.parse(text + "Z") - 330 * MINUTE


def test_nanoseconds_are_kept() -> None:
    assert timestamps.parse("1970-01-01T00:00:01.123456789Z") == 1_123_456_789
    assert timestamps.parse("1970-01-01T00:00:01.5Z") == 1_500_000_000


@pytest.fixture
def far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "XST-9")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("far_east")
def test_a_time_without_a_zone_is_local() -> None:
    assert timestamps.parse("2024-05-01T09:00:00") == timestamps.parse("2024-05-01T00:00:00Z")
    assert timestamps.parse("2024-05-01T09:00") == timestamps.parse("2024-05-01T00:00:00Z")
    assert timestamps.parse("2024-05-01") == timestamps.parse("2024-04-30T15:00:00Z")
    assert times.created_at(timestamps.parse("2024-05-01T00:00:00Z")) == "2024-05-01 09:00:00 +0900 XST"


@pytest.mark.parametrize(
    "text", ["", "x", "2024-13-01", "2024-02-30T00:00:00Z", "2024-01-01T25:00Z", "2024-1-1T1:2:3:4Z"]
)
def test_text_that_is_not_a_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a time"):
        timestamps.parse(text)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("10m", 10 * MINUTE),
        ("1h30m", 90 * MINUTE),
        ("1.5s", 3 * SECOND // 2),
        ("-2ms", -(2 * 10**6)),
        ("1µs", 1000),
        (".5h", 30 * MINUTE),
        ("4.35s", 4_350_000_000),
        ("1.000000001s", SECOND + 1),
        ("2562047h47m16.854775807s", 2**63 - 1),
    ],
)
def test_a_go_duration_is_parsed(text: str, nanoseconds: int) -> None:
    assert times.duration(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'time: invalid duration ""'),
        ("h", 'time: invalid duration "h"'),
        (".s", 'time: invalid duration ".s"'),
        ("3", 'time: missing unit in duration "3"'),
        ("3d", 'time: unknown unit "d" in duration "3d"'),
        ("2562048h", 'time: invalid duration "2562048h"'),
    ],
)
def test_an_invalid_duration_is_refused_with_gos_message(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        times.duration(text)
    assert str(caught.value) == message


def test_since_takes_a_duration_a_time_and_seconds() -> None:
    assert times.since("10m", NOW) == NOW - 10 * MINUTE
    assert times.since("2024-05-01T10:00:00Z") == NOW
    assert times.since("1714557600.5") == 1714557600 * SECOND + SECOND // 2
    with pytest.raises(ValueError, match="not a time"):
        times.since("yesterday")


@pytest.mark.parametrize(
    "text", ["0s", "1ns", "1.5µs", "300ms", "1.05s", "59s", "1m0s", "1m30.5s", "1h0m0s", "100h59m59.999999999s"]
)
def test_a_duration_is_shown_as_go_does(text: str) -> None:
    assert times.show_duration(times.duration(text)) == text
