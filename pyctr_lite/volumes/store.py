"""The store of volumes: `<root>/volumes/<name>/` with `volume.json` and the files in `_data`.

A container can reach `_data` and its contents, but can neither rename it nor reach the files beside it, so these
paths are trusted. The contents of `_data` are only visited by descriptor, without following links (`walk`).
"""

from __future__ import annotations

import errno
import fcntl
import os
import time

from pyctr_lite import jsonfile, linux, suggest
from pyctr_lite.errors import Conflict, InvalidArgument, NotFound
from pyctr_lite.formats import timestamps
from pyctr_lite.rootfs import walk
from pyctr_lite.volumes import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

ANONYMOUS_LABEL = "com.docker.volume.anonymous"
"""Docker's label for a volume without a given name; by default, `prune` removes only these."""

_MAX_RECORD = 1 << 20
"""Max bytes of a volume.json; no record of ours is larger."""

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
        """Whether the volume was created without a name."""
        return ANONYMOUS_LABEL in self.labels

    @property
    def source(self) -> str:
        """The directory to bind into a container: the mount point, or the `device` of one made with `o=bind`."""
        return self.options.get("device") or self.mountpoint

    def inspect(self) -> dict[str, Any]:
        """Return the output of `docker volume inspect`."""
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
    """The volumes in a state directory (`root`). Several processes may use it at the same time."""

    def __init__(self, root: str) -> None:
        self.directory = os.path.join(root, "volumes")

    def create(
        self,
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
    ) -> Volume:
        """Create a volume, or return the existing one of that name. An anonymous volume's name has 64 hex digits.

        `options` are the local driver's: either none, or `type=none`, `o=bind` and `device=DIRECTORY` together.
        Raises InvalidArgument for an invalid name or other options.
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
        building = os.path.join(self.directory, f".{name}.creating")
        with linux.closing(self._lock()):
            try:
                for directory in (building, os.path.join(building, "_data")):
                    os.mkdir(directory)
                    os.chmod(directory, 0o755)  # despite the umask: users of containers must be able to enter it
                created = timestamps.format_seconds(time.time_ns() // timestamps.SECOND)
                record = {"Name": name, "CreatedAt": created, "Labels": labels, "Options": options}
                jsonfile.write(os.path.join(building, "volume.json"), record)
                os.rename(building, os.path.join(self.directory, name))
            except OSError as error:
                _delete(building)
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise
                # Another process created it first; rename(2) does not replace a directory that is not empty.
        return self.get(name)

    def get(self, name: str) -> Volume:
        """Return the volume of a name. Raises NotFound, which suggests a similar name."""
        path = os.path.join(self.directory, name)
        if not name or name.startswith(".") or "/" in name or not os.path.isdir(path):
            raise NotFound(f"get {name}: no such volume", self._suggestion(name))
        created, labels, options = _read_record(os.path.join(path, "volume.json"))
        return Volume(name, os.path.join(path, "_data"), created, labels, options)

    def list(self) -> list[Volume]:
        """Return all volumes, sorted by name, except those that are removed meanwhile."""
        found = []
        for name in self._names():
            try:
                found.append(self.get(name))
            except NotFound:
                continue
        return found

    def remove(self, name: str, force: bool = False, in_use: Callable[[str], Names] | None = None) -> None:
        """Delete a volume and its files. `in_use` returns the ids of the containers that use it.

        Raises Conflict if a container uses it, NotFound if it does not exist and `force` is false.
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
        removed = os.path.join(self.directory, f".{name}.removing")
        with linux.closing(self._lock()):
            try:
                os.rename(os.path.join(self.directory, name), removed)
            except FileNotFoundError:  # another process removed it
                return
        _delete(removed)

    def prune(
        self, used: set[str], all: bool = False, chosen: Callable[[Volume], bool] | None = None
    ) -> tuple[Names, int]:
        """Delete unused anonymous volumes, and with `all` also unused named volumes.

        `used` are the names in use; `chosen` is a further condition. Returns the names and the bytes freed.
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
            return sorted(name for name in os.listdir(self.directory) if names.is_name(name))
        except FileNotFoundError:
            return []

    def _suggestion(self, name: str) -> str:
        return suggest.did_you_mean(name, self._names())

    def _lock(self) -> int:
        """Lock the store, delete leftovers of killed processes, and return the lock's descriptor.

        A leftover that cannot be deleted (a file protected by chattr(1)) stays, and is not an error.
        """
        os.makedirs(self.directory, 0o700, exist_ok=True)
        os.chmod(self.directory, 0o700)  # users of the host must not reach setuid files in volumes
        lock = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in os.listdir(self.directory):
            if name.startswith("."):
                try:
                    _delete(os.path.join(self.directory, name))
                except OSError:
                    pass  # `doctor` reports it
        return lock


def _read_record(path: str) -> tuple[str, dict[str, str], dict[str, str]]:
    """Read the creation time, labels and options from a volume.json.

    A volume must stay visible for the sake of its files: a missing or damaged record counts as empty.
    """
    try:
        with linux.closing(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)) as fd:
            record = jsonfile.loads(os.read(fd, _MAX_RECORD))
    except (OSError, ValueError, RecursionError):
        record = {}
    if not isinstance(record, dict):
        record = {}
    created = record.get("CreatedAt")
    return created if isinstance(created, str) else "", _texts(record.get("Labels")), _texts(record.get("Options"))


def _texts(value: object) -> dict[str, str]:
    """Return the string values of a JSON object, without other values; {} if it is not an object."""
    if not isinstance(value, dict):
        return {}
    return {key: text for key, text in value.items() if isinstance(key, str) and isinstance(text, str)}


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
        raise InvalidArgument(
            "create: the volume option device=DIRECTORY is required and must be an absolute path"
        )


def _delete(path: str) -> None:
    """Delete a tree that another process may also be deleting."""
    try:
        walk.remove_tree(path)
    except FileNotFoundError:
        pass
