"""The filters of `volume ls` and `volume prune`: label=, label!=, dangling=, name=, driver=."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pyctr_lite.errors import BadFilter, InvalidArgument
from pyctr_lite.volumes.store import Volume

KEYS = ("dangling", "driver", "label", "label!", "name")


def volume_filter(filters: Iterable[str], used: set[str]) -> Callable[[Volume], bool]:
    """Return a predicate for the volumes that match all `key=value` filters; `used` are the names in use.

    Values of the same key are alternatives, except that a volume must have all labels.
    Raises BadFilter for a filter without `=`, InvalidArgument for an unknown key or a bad value.
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

    def matches(volume: Volume) -> bool:
        return (
            (not dangling or (volume.name not in used) in dangling)
            and ("driver" not in values or "local" in values["driver"])
            and ("name" not in values or any(part in volume.name for part in values["name"]))
            and all(has_label(volume, label) for label in values.get("label", []))
            and not any(has_label(volume, label) for label in values.get("label!", []))
        )

    return matches


def has_label(volume: Volume, label: str) -> bool:
    """Return whether a volume has a label `key` or `key=value`."""
    key, equals, value = label.partition("=")
    return key in volume.labels and (not equals or volume.labels[key] == value)


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "1", "false", "0"):
        raise InvalidArgument(f"invalid filter 'dangling={text}'", "Use true or false.")
    return text.lower() in ("true", "1")
