"""Who uses an image or a volume: read from the containers' records each time, never stored.

What is decided by it is done in the same hold of `lock.References` in which the records were read.
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
    """The users of an engine's images and volumes, as the records are when it is first asked in a hold.

    Its methods are what `ImageStore.remove` and `VolumeStore.remove` call once they hold their locks.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._serial = 0
        self._known: tuple[dict[str, list[str]], dict[str, list[str]], set[str]] | None = None

    def of_image(self, image: Image) -> list[str]:
        """The ids of the containers that were made of an image, those that run first."""
        images, _, running = self._read()
        return sorted(images.get(image.id, []), key=lambda id: id not in running)

    def running_of_image(self, image: Image) -> list[str]:
        """The ids of the containers of an image that run."""
        _, _, running = self._read()
        return [id for id in self.of_image(image) if id in running]

    def of_volume(self, name: str) -> list[str]:
        """The ids of the containers that mount a volume, whether they run or not."""
        return self._read()[1].get(name, [])

    def volumes(self) -> set[str]:
        """The names of all volumes that a container mounts."""
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
    """The images of the store that an image was made on, by the number of history entries that they share."""
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
    """How many containers there are in each state: "running", "paused", "stopped" (all the others)."""
    counts = {"running": 0, "paused": 0, "stopped": 0}
    for id in home.names.ids():
        try:
            status = str(containers.get(home, id).state.Status)
        except NotFound:
            continue  # removed meanwhile
        counts[status if status in counts else "stopped"] += 1
    return counts
