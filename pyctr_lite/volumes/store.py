"""The store of volumes: `<root>/volumes/<name>/` with `volume.json` and the files in `_data`."""

from __future__ import annotations

import fcntl
import os
import time

from pyctr_lite import jsonfile, near
from pyctr_lite.errors import Conflict, InvalidArgument, NotFound
from pyctr_lite.rootfs import walk
from pyctr_lite.volumes import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

ANONYMOUS_LABEL = "com.docker.volume.anonymous"
"""Docker's mark on a volume that nobody named; `prune` takes only those, unless told otherwise."""


Names = list[str]


class Volume:
    """A directory that outlives containers. `created` is RFC 3339 text in UTC."""

    __slots__ = ("created", "labels", "mountpoint", "name", "options")

    def __init__(
        self, name: str, mountpoint: str, created: str, labels: dict[str, str], options: dict[str, str]
    ) -> None:
        self.name, self.mountpoint, self.created = name, mountpoint, created
        self.labels, self.options = labels, options

    @property
    def anonymous(self) -> bool:
        """Whether nobody named it."""
        return ANONYMOUS_LABEL in self.labels

    @property
    def source(self) -> str:
        """The directory to bind into a container: the mount point, or the `device` of one made with `o=bind`."""
        return self.options.get("device") or self.mountpoint

    def inspect(self) -> dict[str, Any]:
        """What `docker volume inspect` shows."""
        return {
            "CreatedAt": self.created,
            "Driver": "local",
            "Labels": self.labels or None,
            "Mountpoint": self.mountpoint,
            "Name": self.name,
            "Options": self.options or None,
            "Scope": "local",
        }


class VolumeStore:
    """The volumes under a state directory (`root`); safe for several processes at a time."""

    def __init__(self, root: str) -> None:
        self.directory = os.path.join(root, "volumes")

    def create(
        self,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
    ) -> Volume:
        """Make a volume, or give the one of that name; without a name an anonymous one with 64 hex digits.

        `options` are the local driver's; of them `type=none`, `o=bind` and `device=DIRECTORY` together.
        """
        labels, options = dict(labels or {}), dict(options or {})
        _check_options(options)
        if name is None:
            name, labels = os.urandom(32).hex(), {ANONYMOUS_LABEL: "", **labels}
        names.check_name(name)
        try:
            return self.get(name)
        except NotFound:
            pass
        lock = self._lock()
        try:
            building = os.path.join(self.directory, f".{name}.creating")
            for directory in (building, os.path.join(building, "_data")):
                os.mkdir(directory)
                os.chmod(directory, 0o755)  # whatever the caller's umask: users of containers go through it
            created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            record = {"Name": name, "CreatedAt": created, "Labels": labels, "Options": options}
            jsonfile.write(os.path.join(building, "volume.json"), record)
            try:
                os.rename(building, os.path.join(self.directory, name))
            except OSError:  # another process was faster; its volume is not empty, so it stays
                _delete(building)
        finally:
            os.close(lock)
        return self.get(name)

    def get(self, name: str) -> Volume:
        """The volume of a name. Fails with NotFound, with what is near."""
        path = os.path.join(self.directory, name)
        if not name or name.startswith(".") or "/" in name or not os.path.isdir(path):
            raise NotFound(f"get {name}: no such volume", self._near(name))
        try:
            record = jsonfile.read(os.path.join(path, "volume.json"))
        except (FileNotFoundError, ValueError):  # the files are what counts: a lost record does not hide them
            record = {}
        return Volume(
            name,
            os.path.join(path, "_data"),
            record.get("CreatedAt") or "",
            record.get("Labels") or {},
            record.get("Options") or {},
        )

    def list(self) -> list[Volume]:
        """All volumes, by name."""
        return [self.get(name) for name in self._names()]

    def remove(self, name: str, force: bool = False, in_use: Callable[[str], Names] | None = None) -> None:
        """Delete a volume and its files. `in_use` gives the ids of the containers that use it.

        Fails with Conflict while any does, with NotFound for a missing one unless `force`.
        """
        try:
            self.get(name)
        except NotFound:
            if force:
                return
            raise
        users = in_use(name) if in_use else []
        if users:
            raise Conflict(
                f"remove {name}: volume is in use - [{', '.join(users)}]", "Remove those containers first."
            )
        lock = self._lock()
        try:
            removed = os.path.join(self.directory, f".{name}.removing")
            os.rename(os.path.join(self.directory, name), removed)
        except FileNotFoundError:  # another process was faster
            return
        finally:
            os.close(lock)
        _delete(removed)

    def prune(
        self, used: set[str], all: bool = False, chosen: Callable[[Volume], bool] | None = None
    ) -> tuple[Names, int]:
        """Delete what no container uses: anonymous volumes, with `all` named ones too.

        `used` holds the names in use; `chosen` narrows the choice. Gives the names and the bytes set free.
        """
        removed, freed = [], 0
        for volume in self.list():
            if volume.name in used or not (all or volume.anonymous) or not (chosen is None or chosen(volume)):
                continue
            size = walk.disk_usage(volume.mountpoint)
            self.remove(volume.name, force=True)
            removed.append(volume.name)
            freed += size
        return removed, freed

    def _names(self) -> Names:
        try:
            return sorted(name for name in os.listdir(self.directory) if not name.startswith("."))
        except FileNotFoundError:
            return []

    def _near(self, name: str) -> str:
        found = near.nearest(name, self._names())
        return f"Near to it: {found}." if found else ""

    def _lock(self) -> int:
        """Wait until no other process changes the store, and delete what a killed one left half-way."""
        os.makedirs(self.directory, 0o700, exist_ok=True)
        os.chmod(self.directory, 0o700)  # a setuid file of root in a volume is not for the host's users
        lock = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in os.listdir(self.directory):
            if name.startswith("."):
                _delete(os.path.join(self.directory, name))
        return lock


def _check_options(options: dict[str, str]) -> None:
    for option in options:
        if option not in ("type", "o", "device"):
            raise InvalidArgument(f'create: invalid option: "{option}"', "Options are type, o and device.")
    if options and (options.get("type", "none") != "none" or options.get("o") not in ("bind", "rbind")):
        raise InvalidArgument(
            "create: only volumes of type=none with o=bind and device=DIRECTORY can be made",
            "For a file system in memory use --tmpfs.",
        )
    if options and not os.path.isabs(options.get("device", "")):
        raise InvalidArgument("create: missing device in volume options, or it is no absolute path")


def _delete(path: str) -> None:
    """Delete a tree that another process may be deleting too."""
    try:
        walk.remove_tree(path)
    except FileNotFoundError:
        pass
