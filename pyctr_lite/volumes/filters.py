"""Filters of `volume ls` and `volume prune`: label=, label!=, dangling=, name=, driver=."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pyctr_lite.errors import BadFilter, InvalidArgument
from pyctr_lite.volumes.store import Volume

KEYS = ("dangling", "driver", "label", "label!", "name")


def volume_filter(filters: Iterable[str], used: set[str]) -> Callable[[Volume], bool]:
    """A test for the volumes that `key=value` filters let through; `used` are the names in use.

    Of one key any value will do, except that of labels all must be there. Fails with BadFilter, InvalidArgument.
    """
    values: dict[str, list[str]] = {}
    for text in filters:
        key, equals, value = text.partition("=")
        if not equals:
            raise BadFilter(text)
        if key not in KEYS:
            raise InvalidArgument(f"invalid filter '{key}'", f"Filters are {', '.join(KEYS)}.")
        values.setdefault(key, []).append(value)
    dangling = {_boolean(value) for value in values.get("dangling", [])}
    if len(dangling) > 1:
        raise InvalidArgument("invalid filter 'dangling=[true false]'")

    def lets_through(volume: Volume) -> bool:
        return (
            (not dangling or (volume.name not in used) in dangling)
            and ("driver" not in values or "local" in values["driver"])
            and ("name" not in values or any(part in volume.name for part in values["name"]))
            and all(has_label(volume, label) for label in values.get("label", []))
            and not any(has_label(volume, label) for label in values.get("label!", []))
        )

    return lets_through


def has_label(volume: Volume, label: str) -> bool:
    """Whether a volume has a label `key`, or `key=value`."""
    key, equals, value = label.partition("=")
    return key in volume.labels and (not equals or volume.labels[key] == value)


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "1", "false", "0"):
        raise InvalidArgument(f"invalid filter 'dangling={text}'", "It is true or false.")
    return text.lower() in ("true", "1")
