"""Times as a person reads and writes them: "2 minutes ago", "Up 3 seconds", `--since 10m`.  [hot for ps]

Python's datetime costs milliseconds to import; a time is here an int of nanoseconds since 1970, and on disk
RFC 3339 with nanoseconds in UTC, as Docker writes it.
"""

from __future__ import annotations

import time

from pyctr_lite.formats import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SECOND = 10**9
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
UNITS = {"ns": 1, "us": 1000, "µs": 1000, "μs": 1000, "ms": 10**6, "s": SECOND, "m": MINUTE, "h": HOUR}
_LAST = 253402300799
"""Seconds: the end of the year 9999, the last that RFC 3339 can name."""
NEVER = "0001-01-01T00:00:00Z"
"""Go's zero time: what Docker writes for what has not happened."""


def human_duration(nanoseconds: int) -> str:
    """About how long: "3 seconds", "About a minute", "2 hours", "5 weeks" (go-units' HumanDuration)."""
    seconds = nanoseconds // SECOND
    minutes = nanoseconds // MINUTE
    hours = (nanoseconds + HOUR // 2) // HOUR
    if seconds < 1:
        return "Less than a second"
    if seconds == 1:
        return "1 second"
    if seconds < 60:
        return f"{seconds} seconds"
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{nanoseconds // HOUR // 24 // 365} years"


def ago(nanoseconds: int, now: int | None = None) -> str:
    """How long a time is past: "2 minutes ago"."""
    return human_duration((time.time_ns() if now is None else now) - nanoseconds) + " ago"


def status(state: dict[str, Any], now: int | None = None) -> str:
    """The STATUS of `ps` from a container's State in Docker's keys: "Up 3 seconds (Paused)"."""
    now = time.time_ns() if now is None else now
    started = parse(state.get("StartedAt") or NEVER)
    finished = parse(state.get("FinishedAt") or NEVER)
    exit_code = state.get("ExitCode", 0)
    if state.get("Restarting"):
        return f"Restarting ({exit_code}) {ago(finished, now)}"
    if state.get("Running"):
        up = f"Up {human_duration(now - started)}"
        if state.get("Paused"):
            return f"{up} (Paused)"
        health = (state.get("Health") or {}).get("Status", "none")
        if health == "none":
            return up
        return f"{up} (health: starting)" if health == "starting" else f"{up} ({health})"
    if state.get("RemovalInProgress"):
        return "Removal In Progress"
    if state.get("Dead"):
        return "Dead"
    if started <= 0:
        return "Created"
    return f"Exited ({exit_code}) {ago(finished, now)}" if finished > 0 else ""


def parse(text: str) -> int:
    """Nanoseconds since 1970 of an RFC 3339 time; without a zone it is local, as are a date alone and a date
    with hours or minutes (what Docker takes for --since). Fails with ValueError.
    """
    try:
        day, _, clock = text.partition("T")
        clock, zone = _split_zone(clock)
        year, month, date = (_number(part) for part in day.split("-"))
        if year > 9999:
            raise ValueError
        hours, minutes, seconds = (*(clock or "00").split(":"), "00", "00")[:3]
        whole, _, fraction = seconds.partition(".")
        if clock.count(":") > 2 or not 1 <= month <= 12 or not 1 <= date <= _days_in(year, month):
            raise ValueError
        clock_values = _number(hours), _number(minutes), _number(whole)
        if clock_values[0] > 23 or clock_values[1] > 59 or clock_values[2] > 60:
            raise ValueError
        if zone is None:
            local = (year, month, date, *clock_values, 0, 0, -1)
            moment = int(time.mktime(local))
        else:
            moment = _days(year, month, date) * 86400 + zone
            moment += clock_values[0] * 3600 + clock_values[1] * 60 + clock_values[2]
        return moment * SECOND + (_number(fraction[:9].ljust(9, "0")) if fraction else 0)
    except (ValueError, OverflowError):
        raise ValueError(f"not a time: {text!r}") from None


def _split_zone(clock: str) -> tuple[str, int | None]:
    """A clock time and what to add to reach UTC, in seconds (None: local)."""
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


def _days_in(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the Gregorian calendar (Hinnant's days_from_civil)."""
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


def created_at(nanoseconds: int) -> str:
    """The local time as `ps` shows CreatedAt: "2024-05-01 10:00:00 +0000 UTC"."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(nanoseconds // SECOND))


def duration(text: str) -> int:
    """Nanoseconds of a Go duration: "1h30m", "1.5s", "300ms", "-2m". Fails with ValueError in Go's words."""
    rest = text[1:] if text[:1] in ("+", "-") else text
    total = 0.0
    if rest == "0":
        return 0
    if not rest:
        raise ValueError(f'time: invalid duration "{text}"')
    while rest:
        length = 0
        while length < len(rest) and rest[length] in "0123456789.":
            length += 1
        digits, rest = rest[:length], rest[length:]
        length = 0
        while length < len(rest) and rest[length] not in "0123456789.":
            length += 1
        unit, rest = rest[:length], rest[length:]
        if digits in ("", ".") or digits.count(".") > 1 or len(digits) > number.MAX_DIGITS:
            raise ValueError(f'time: invalid duration "{text}"')
        if not unit:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if unit not in UNITS:
            raise ValueError(f'time: unknown unit "{unit}" in duration "{text}"')
        total += float(digits) * UNITS[unit]
    if total > number.INT64_MAX:
        raise ValueError(f'time: invalid duration "{text}"')
    return int(-total if text[0] == "-" else total)


def since(text: str, now: int | None = None) -> int:
    """Nanoseconds since 1970 of what `--since` and `--until` take: a time, seconds since 1970 with a fraction,
    or a duration before now ("10m"). Fails with ValueError.
    """
    seconds, _, fraction = text.partition(".")
    if number.is_whole(seconds) and (not fraction or number.is_digits(fraction)):
        whole = min(int(seconds), _LAST)
        return whole * SECOND + (int(fraction[:9].ljust(9, "0")) if fraction else 0)
    try:
        return (time.time_ns() if now is None else now) - duration(text)
    except ValueError:
        return parse(text)
