"""The filters of `network ls` and `network prune`, applied to networks as `report.network` shows them."""

from __future__ import annotations

from pyctr_lite.engine.report.filters import grammar
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import timestamps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from typing import Any

    Shown = dict[str, Any]

LISTING = ("dangling", "driver", "id", "label", "name", "scope", "type")
PRUNING = ("label", "label!", "until")
PREDEFINED = ("bridge", "host", "none")


class NetworkFilter:
    """The networks that match all filters."""

    def __init__(self, texts: Iterable[str], keys: Collection[str] = LISTING, used: Collection[str] = ()) -> None:
        """`used` are the names of the networks in use, for `dangling`. Raises BadFilter, InvalidArgument."""
        self._values, self._used = grammar.parse(texts, keys), used
        self._dangling = grammar.boolean(self._values, "dangling")
        self._before = grammar.created_before(self._values)
        for value in self._values.get("type", []):
            if value not in ("builtin", "custom"):
                raise InvalidArgument(f"invalid filter: 'type'='{value}'", "it is builtin or custom")

    def matches(self, shown: Shown) -> bool:
        """Return whether a network matches."""
        free = shown["Name"] not in PREDEFINED and shown["Name"] not in self._used
        return (
            (self._dangling is None or self._dangling == free)
            and (self._before is None or timestamps.parse(shown["Created"]) < self._before)
            and grammar.has_labels(shown["Labels"], self._values)
            and all(any(test(shown, value) for value in self._values.get(key, [])) for key, test in self._tests())
        )

    def _tests(self) -> Iterable[tuple[str, Callable[[Shown, str], bool]]]:
        return [(key, test) for key, test in _TESTS.items() if key in self._values]


_TESTS: dict[str, Callable[[Shown, str], bool]] = {
    "driver": lambda shown, value: bool(shown["Driver"] == value),
    "id": lambda shown, value: grammar.finds(shown["Id"], value),
    "name": lambda shown, value: grammar.finds(shown["Name"], value),
    "scope": lambda shown, value: bool(shown["Scope"] == value),
    "type": lambda shown, value: (value == "builtin") == (shown["Name"] in PREDEFINED),
}
