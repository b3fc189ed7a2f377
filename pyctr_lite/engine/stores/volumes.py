"""VolumeStore that also emits events, and removes no volume while a container is being created."""

from __future__ import annotations

import os

from pyctr_lite.engine.events import writer as events
from pyctr_lite.engine.state import lock
from pyctr_lite.volumes import store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pyctr_lite.engine.state.paths import Paths
    from pyctr_lite.volumes.store import Names, Volume


class Volumes(store.VolumeStore):
    """The volumes of an engine."""

    def __init__(self, paths: Paths) -> None:
        super().__init__(paths.root)
        self.paths = paths

    def create(
        self,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
    ) -> Volume:
        """Create a volume, or return the existing volume of that name."""
        known = name is not None and self._exists(name)
        volume = super().create(name, labels, options)
        if not known:
            events.emit_volume(self.paths, "create", volume.name)
        return volume

    def remove(self, name: str, force: bool = False, in_use: Callable[[str], Names] | None = None) -> None:
        """Remove a volume and its files."""
        known = self._exists(name)
        with lock.References(self.paths.containers):
            super().remove(name, force, in_use)
        if known:
            events.emit_volume(self.paths, "destroy", name)

    def _exists(self, name: str) -> bool:
        return os.path.isdir(os.path.join(self.directory, name))
