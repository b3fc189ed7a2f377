"""Times as people read and write them: "2 minutes ago", "Up 3 seconds", `--since 10m`.  [hot for ps]

All of them are ints of nanoseconds: since 1970, or of a duration.
"""

from __future__ import annotations

import time

from pyctr_lite.formats import number, timestamps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SECOND = timestamps.SECOND
MILLISECOND = SECOND // 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
UNITS = {"ns": 1, "us": 1000, "µs": 1000, "μs": 1000, "ms": 10**6, "s": SECOND, "m": MINUTE, "h": HOUR}


def human_duration(nanoseconds: int) -> str:
    """Describe a duration: "3 seconds", "About a minute", "2 hours", "5 weeks" (go-units' HumanDuration)."""
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
    """Describe how long ago a time was: "2 minutes ago"."""
    return human_duration((time.time_ns() if now is None else now) - nanoseconds) + " ago"


def status(state: dict[str, Any], now: int | None = None) -> str:
    """Return the STATUS of `ps`, as in "Up 3 seconds (Paused)", from a container's State in Docker's keys."""
    now = time.time_ns() if now is None else now
    started = timestamps.parse(state.get("StartedAt") or timestamps.NEVER)
    finished = timestamps.parse(state.get("FinishedAt") or timestamps.NEVER)
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


def created_at(nanoseconds: int) -> str:
    """Return a time as `ps` shows CreatedAt: local, "2024-05-01 10:00:00 +0000 UTC"."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(nanoseconds // SECOND))


def duration(text: str) -> int:
    """Parse a Go duration: "1h30m", "1.5s", "300ms", "-2m". Raises ValueError with Go's message."""
    rest = text[1:] if text[:1] in ("+", "-") else text
    total = 0
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
        whole, _, fraction = digits.partition(".")
        total += int(whole or 0) * UNITS[unit]
        total += int(fraction or 0) * UNITS[unit] // 10 ** len(fraction)
    if total > number.INT64_MAX:
        raise ValueError(f'time: invalid duration "{text}"')
    return -total if text[0] == "-" else total


def show_duration(nanoseconds: int) -> str:
    """Return a duration as Go prints it: "1h30m0s", "1.5s", "300ms", "0s"."""
    if 0 < nanoseconds < SECOND:
        unit = next(name for name in ("ms", "µs", "ns") if nanoseconds >= UNITS[name])
        return _decimal(nanoseconds, UNITS[unit]) + unit
    minutes, rest = divmod(nanoseconds, MINUTE)
    hours, minutes = divmod(minutes, 60)
    shown = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{shown}{_decimal(rest, SECOND)}s"


def _decimal(value: int, unit: int) -> str:
    whole, rest = divmod(value, unit)
    return f"{whole}.{rest:0{len(str(unit)) - 1}}".rstrip("0").rstrip(".") if rest else str(whole)


def since(text: str, now: int | None = None) -> int:
    """Parse a value of `--since` or `--until`: a time, seconds since 1970, or a duration before now ("10m").

    Raises ValueError.
    """
    seconds, _, fraction = text.partition(".")
    if number.is_whole(seconds) and (not fraction or number.is_digits(fraction)):
        whole = min(int(seconds), timestamps.MAX_SECOND)
        return whole * SECOND + (int(fraction[:9].ljust(9, "0")) if fraction else 0)
    try:
        return (time.time_ns() if now is None else now) - duration(text)
    except ValueError:
        return timestamps.parse(text)
