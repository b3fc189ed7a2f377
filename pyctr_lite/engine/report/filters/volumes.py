"""The filters of `volume ls` and `volume prune`."""

from __future__ import annotations

from pyctr_lite.engine.report.filters import grammar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pyctr_lite.volumes.store import Volume

LISTING = ("dangling", "driver", "label", "label!", "name")
PRUNING = ("all", "label", "label!")


class VolumeFilter:
    """The volumes that match all filters."""

    def __init__(self, texts: Iterable[str], keys: Collection[str] = LISTING, used: Collection[str] = ()) -> None:
        """`used` are the names of the volumes in use, for `dangling`. Raises BadFilter, InvalidArgument."""
        self._values, self._used = grammar.parse(texts, keys), used
        self._dangling = grammar.boolean(self._values, "dangling")
        self.all = grammar.boolean(self._values, "all")
        """Whether `prune` is to remove named volumes too; None if that is not given."""

    def matches(self, volume: Volume) -> bool:
        """Return whether a volume matches."""
        values = self._values
        return (
            (self._dangling is None or self._dangling == (volume.name not in self._used))
            and ("driver" not in values or "local" in values["driver"])
            and ("name" not in values or any(grammar.finds(volume.name, value) for value in values["name"]))
            and grammar.has_labels(volume.labels, values)
        )
