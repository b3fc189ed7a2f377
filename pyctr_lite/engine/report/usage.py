"""Reverse lookup: which containers use an image or a volume. Computed from the records, never stored.

An action that depends on the answer must happen under the same hold of `lock.References` as the lookup.
"""

from __future__ import annotations

from pyctr_lite.engine.container import containers
from pyctr_lite.engine.state import lock
from pyctr_lite.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.home import Home
    from pyctr_lite.images.image import Image


class Usage:
    """The users of an engine's images and volumes. The records are read once per hold of `lock.References`.

    `ImageStore.remove` and `VolumeStore.remove` call its methods while they hold their locks.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._serial = 0
        self._known: tuple[dict[str, list[str]], dict[str, list[str]], set[str]] | None = None

    def of_image(self, image: Image) -> list[str]:
        """Return the ids of the containers of an image, running containers first."""
        images, _, running = self._read()
        return sorted(images.get(image.id, []), key=lambda id: id not in running)

    def running_of_image(self, image: Image) -> list[str]:
        """Return the ids of the running containers of an image."""
        _, _, running = self._read()
        return [id for id in self.of_image(image) if id in running]

    def of_volume(self, name: str) -> list[str]:
        """Return the ids of the containers that mount a volume, running or not."""
        return self._read()[1].get(name, [])

    def volumes(self) -> set[str]:
        """Return the names of all volumes that containers mount."""
        return set(self._read()[1])

    def _read(self) -> tuple[dict[str, list[str]], dict[str, list[str]], set[str]]:
        serial = lock.References.serial(self._home.paths.containers)
        if self._known is None or serial != self._serial:
            self._serial = serial
            images: dict[str, list[str]] = {}
            volumes: dict[str, list[str]] = {}
            running: set[str] = set()
            for container in containers.read_all(self._home)[0]:
                images.setdefault(container.record.image, []).append(container.id)
                for name in {mount["Name"] for mount in container.record.mounts if mount.get("Name")}:
                    volumes.setdefault(name, []).append(container.id)
                if container.state.running:
                    running.add(container.id)
            self._known = images, volumes, running
        return self._known


def parents(home: Home, image: Image) -> dict[int, str]:
    """Return the ids of the stored images on which an image is based, by the length of their history."""
    found: dict[int, str] = {}
    history = image.config.get("history") or []
    diff_ids = [layer.diff_id for layer in image.layers]
    for other in home.images.list():
        length = len(other.config.get("history") or [])
        below = [layer.diff_id for layer in other.layers]
        if (
            0 < length < len(history)
            and other.config["history"] == history[:length]
            and below == diff_ids[: len(below)]
        ):
            found[length] = other.id
    return found


def container_counts(home: Home) -> dict[str, int]:
    """Return the number of containers that are "running", "paused" and "stopped" (all others)."""
    counts = {"running": 0, "paused": 0, "stopped": 0}
    for id in home.names.ids():
        try:
            status = str(containers.get(home, id).state.Status)
        except NotFound:
            continue  # removed in the meantime
        counts[status if status in counts else "stopped"] += 1
    return counts
