"""The filters of `events`."""

from __future__ import annotations

from pyctr_lite.engine.report.filters import grammar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    Event = dict[str, Any]

KEYS = ("container", "event", "image", "label", "network", "scope", "type", "volume")


class EventFilter:
    """The events that match all filters."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Parse the filters. Raises BadFilter, InvalidArgument."""
        self._values = grammar.parse(texts, KEYS)

    def matches(self, event: Event) -> bool:
        """Return whether an event matches."""
        return grammar.has_labels(event["Actor"]["Attributes"], self._values) and all(
            any(_TESTS[key](event, value) for value in given)
            for key, given in self._values.items()
            if key != "label"
        )


def _is_of(kind: str, event: Event, value: str) -> bool:
    """Return whether an event is of the object with a name or id; of an image also those of its containers."""
    actor = event["Actor"]
    if event["Type"] != kind:
        return bool(kind == "image" and actor["Attributes"].get("image") == value)
    id = actor["ID"].removeprefix("sha256:")
    return bool(value == actor["Attributes"].get("name") or id.startswith(value.removeprefix("sha256:")))


_TESTS: dict[str, Callable[[Event, str], bool]] = {
    "container": lambda event, value: _is_of("container", event, value),
    "image": lambda event, value: _is_of("image", event, value),
    "network": lambda event, value: _is_of("network", event, value),
    "volume": lambda event, value: _is_of("volume", event, value),
    # The value may leave out what follows a colon: health_status, exec_start.
    "event": lambda event, value: value in (event["Action"], event["Action"].partition(": ")[0]),
    "type": lambda event, value: event["Type"] == value,
    "scope": lambda event, value: event["scope"] == value,
}
