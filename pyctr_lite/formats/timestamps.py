"""Timestamps: RFC 3339 text, and nanoseconds since 1970 as an int.  [hot]

Python's datetime takes milliseconds to import, and knows no nanoseconds.
"""

from __future__ import annotations

import time

from pyctr_lite.formats import number

SECOND = 10**9
NEVER = "0001-01-01T00:00:00Z"
"""Go's zero time: Docker's text for a time that has not come."""
MAX_SECOND = 253402300799
"""Seconds: the end of the year 9999, the last that RFC 3339 can express."""


def format(nanoseconds: int) -> str:
    """Return the RFC 3339 text of a time: UTC, with all nine digits of the nanoseconds, as Docker writes it."""
    seconds, fraction = divmod(nanoseconds, SECOND)
    return format_seconds(seconds)[:-1] + f".{fraction:09d}Z"


def format_seconds(seconds: int) -> str:
    """Return the RFC 3339 text of a time in whole seconds, in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def parse(text: str) -> int:
    """Parse an RFC 3339 time. Raises ValueError.

    Like `docker logs --since`, it also accepts a date alone, and a date with hours or minutes. A time without a
    zone is local.
    """
    try:
        day, _, clock = text.partition("T")
        clock, zone = _split_zone(clock)
        year, month, date = (_number(part) for part in day.split("-"))
        hours, minutes, seconds = (*(clock or "00").split(":"), "00", "00")[:3]
        whole, _, fraction = seconds.partition(".")
        hour, minute, second = _number(hours), _number(minutes), _number(whole)
        if year > 9999 or clock.count(":") > 2 or second > 60 or not _is_date(year, month, date, hour, minute):
            raise ValueError
        if zone is None:
            moment = int(time.mktime((year, month, date, hour, minute, second, 0, 0, -1)))
        else:
            moment = _days(year, month, date) * 86400 + hour * 3600 + minute * 60 + second + zone
        return moment * SECOND + (_number(fraction[:9].ljust(9, "0")) if fraction else 0)
    except (ValueError, OverflowError):
        raise ValueError(f"not a time: {text!r}") from None


def is_complete(text: str) -> bool:
    """Return whether a text is a whole RFC 3339 time, with a zone: those that Go's time.Time accepts in JSON."""
    if len(text) < 20 or not text.isascii():
        return False
    numbers = text[0:4], text[5:7], text[8:10], text[11:13], text[14:16], text[17:19]
    if text[4] + text[7] + text[10] + text[13] + text[16] != "--T::" or not number.is_digits("".join(numbers)):
        return False
    year, month, day, hour, minute, second = map(int, numbers)
    if not year or second > 59 or not _is_date(year, month, day, hour, minute):
        return False
    rest = text[19:]
    if rest[0] == ".":
        zone = rest[1:].lstrip("0123456789")
        rest = zone if len(zone) < len(rest) - 1 else ""
    if rest == "Z":
        return True
    hours, minutes = rest[1:3], rest[4:6]
    if len(rest) != 6 or rest[0] not in "+-" or rest[3] != ":" or not number.is_digits(hours + minutes):
        return False
    return int(hours) < 24 and int(minutes) < 60


def _split_zone(clock: str) -> tuple[str, int | None]:
    """Split a zone off a clock time: the clock time, and the seconds to add to reach UTC (None: local time)."""
    if clock.endswith(("Z", "z")):
        return clock[:-1], 0
    for sign in "+-":
        before, found, offset = clock.rpartition(sign)
        if found:
            hours, _, minutes = offset.partition(":")
            seconds = _number(hours) * 3600 + _number(minutes) * 60
            return before, -seconds if sign == "+" else seconds
    return clock, None


def _number(digits: str) -> int:
    return number.whole(digits, 10**9)


def _is_date(year: int, month: int, day: int, hour: int, minute: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= _days_in(year, month) and hour < 24 and minute < 60


def _days_in(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def _days(year: int, month: int, day: int) -> int:
    """Return the days since 1970-01-01 in the Gregorian calendar (Hinnant's days_from_civil)."""
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
