"""The grammar of filters, `key=value`, and the values that several of them share."""

from __future__ import annotations

import re

from pyctr_lite.errors import BadFilter, InvalidArgument
from pyctr_lite.formats import times

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

Values = dict[str, list[str]]
"""The values given for each key. They are alternatives, except that an object must have all labels."""


def parse(texts: Iterable[str], keys: Iterable[str]) -> Values:
    """Parse texts like "key=value". Raises BadFilter without "=", InvalidArgument for another key."""
    values: Values = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise BadFilter(text)
        key = key.strip().lower()
        if key not in keys:
            raise InvalidArgument(f"invalid filter '{key}'", f"filters are {', '.join(keys)}")
        values.setdefault(key, []).append(value.strip())
    return values


def boolean(values: Values, key: str) -> bool | None:
    """Return the truth value of a key, None if it is not given. Raises InvalidArgument, also if it is both."""
    truths = set()
    for text in values.get(key, []):
        if text.lower() not in ("true", "1", "false", "0"):
            raise InvalidArgument(f"invalid filter '{key}={text}'", "use true or false")
        truths.add(text.lower() in ("true", "1"))
    if len(truths) > 1:
        raise InvalidArgument(f"invalid filter '{key}=[true false]'")
    return truths.pop() if truths else None


def created_before(values: Values) -> int | None:
    """Return the earliest time of `until`, in nanoseconds since 1970. Raises InvalidArgument."""
    moments = []
    for text in values.get("until", []):
        try:
            moments.append(times.since(text))
        except ValueError:
            raise InvalidArgument(
                f"invalid value for 'until': {text}",
                "give a time (2024-05-01T10:00:00) or a duration before now (10m, 1h30m)",
            ) from None
    return min(moments, default=None)


def finds(text: str, pattern: str) -> bool:
    """Return whether a text is equal to a pattern or matches it as a regular expression (Go's filters.Match)."""
    try:
        return text == pattern or re.search(pattern, text) is not None
    except re.error:
        return False


def has_labels(labels: dict[str, str], values: Values) -> bool:
    """Return whether an object's labels include all those of `label` and none of `label!`."""
    return all(_has_label(labels, label) for label in values.get("label", [])) and not any(
        _has_label(labels, label) for label in values.get("label!", [])
    )


def time_limit(flag: str, text: str | None) -> int | None:
    """Parse the value of --since or --until: nanoseconds since 1970, None without a value.

    Raises InvalidArgument with Docker's message.
    """
    if not text:
        return None
    try:
        return times.since(text)
    except ValueError:
        raise InvalidArgument(
            f'invalid value for "{flag}": failed to parse value as time or duration: "{text}"',
            "Give a time (2024-05-01T10:00:00Z, 1714557600) or a duration before now (90s, 1h30m).",
        ) from None


def _has_label(labels: dict[str, str], label: str) -> bool:
    """Return whether a label `key` or `key=value` is there."""
    key, equals, value = label.partition("=")
    return key in labels and (not equals or labels[key] == value)
