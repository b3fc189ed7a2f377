"""The mounts that a new container takes over from others (--volumes-from)."""

from __future__ import annotations

from pyctr_lite.engine.container import containers
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.volumes import spec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.engine.home import Home


def mounts(home: Home, references: list[str]) -> dict[str, dict[str, Any]]:
    """Return the mounts of the containers CONTAINER[:ro|rw], by their paths inside; of two, the last one counts.

    A mount that is read-only there stays so. As in Docker, a file system of --tmpfs is not taken over.
    Raises NotFound without such a container, InvalidArgument for another mode.
    """
    found = {}
    for reference in references:
        name, colon, mode = reference.partition(":")
        if not name:
            raise InvalidArgument("volumes-from specification cannot be an empty string")
        if colon and not (spec.are_modes(mode) and set(mode.split(",")) <= {"ro", "rw", "z", "Z"}):
            raise InvalidArgument(
                f"invalid mode: {mode}", "--volumes-from takes CONTAINER, CONTAINER:ro or CONTAINER:rw"
            )
        for mount in containers.get(home, name).record.mounts:
            if mount["Type"] != "tmpfs":
                writable = mount["RW"] and "ro" not in mode.split(",")
                found[mount["Destination"]] = mount | {"RW": writable, "Mode": mode or mount["Mode"]}
    return found
