"""The store of volumes: `<root>/volumes/<name>/` with `volume.json` and the files in `_data`.

A container reaches `_data` and what is in it, never its name or what lies beside it: so these paths are ours. What
is in `_data` is only gone through by descriptors, with no link followed (`walk`).
"""

from __future__ import annotations

import errno
import fcntl
import os
import time

from pyctr_lite import jsonfile, linux, suggest
from pyctr_lite.errors import Conflict, InvalidArgument, NotFound
from pyctr_lite.rootfs import walk
from pyctr_lite.volumes import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

ANONYMOUS_LABEL = "com.docker.volume.anonymous"
"""Docker's mark on a volume that nobody named; `prune` takes only those, unless told otherwise."""


_MAX_RECORD = 1 << 20
"""Bytes of a volume.json; a larger one is not ours."""


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
        building = os.path.join(self.directory, f".{name}.creating")
        with linux.closing(self._lock()):
            try:
                for directory in (building, os.path.join(building, "_data")):
                    os.mkdir(directory)
                    os.chmod(directory, 0o755)  # whatever the caller's umask: users of containers go through it
                created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
                record = {"Name": name, "CreatedAt": created, "Labels": labels, "Options": options}
                jsonfile.write(os.path.join(building, "volume.json"), record)
                os.rename(building, os.path.join(self.directory, name))
            except OSError as error:
                _delete(building)
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise
                # Another process was faster; its volume is not empty, so it stays.
        return self.get(name)

    def get(self, name: str) -> Volume:
        """The volume of a name. Raises NotFound, with the closest name as its hint."""
        path = os.path.join(self.directory, name)
        if not name or name.startswith(".") or "/" in name or not os.path.isdir(path):
            raise NotFound(f"get {name}: no such volume", self._suggestion(name))
        created, labels, options = _read_record(os.path.join(path, "volume.json"))
        return Volume(name, os.path.join(path, "_data"), created, labels, options)

    def list(self) -> list[Volume]:
        """All volumes, by name; without those that are removed meanwhile."""
        found = []
        for name in self._names():
            try:
                found.append(self.get(name))
            except NotFound:
                continue
        return found

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
        removed = os.path.join(self.directory, f".{name}.removing")
        with linux.closing(self._lock()):
            try:
                os.rename(os.path.join(self.directory, name), removed)
            except FileNotFoundError:  # another process was faster
                return
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
            return sorted(name for name in os.listdir(self.directory) if names.is_name(name))
        except FileNotFoundError:
            return []

    def _suggestion(self, name: str) -> str:
        return suggest.did_you_mean(name, self._names())

    def _lock(self) -> int:
        """Wait until no other process changes the store, and delete what a killed one left half-way.

        What cannot be deleted (a file that chattr(1) protects) stays, and does not keep others from their work.
        """
        os.makedirs(self.directory, 0o700, exist_ok=True)
        os.chmod(self.directory, 0o700)  # a setuid file of root in a volume is not for the host's users
        lock = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in os.listdir(self.directory):
            if name.startswith("."):
                try:
                    _delete(os.path.join(self.directory, name))
                except OSError:
                    pass  # `doctor` shows it
        return lock


def _read_record(path: str) -> tuple[str, dict[str, str], dict[str, str]]:
    """Read what a volume.json says: when it was made, its labels and options.

    The files are what counts: a record that is lost, or is not as we write it, does not hide them.
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
    """A member of a record that has to map texts to texts; anything else in it is left out."""
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
        raise InvalidArgument("create: missing device in volume options, or it is no absolute path")


def _delete(path: str) -> None:
    """Delete a tree that another process may be deleting too."""
    try:
        walk.remove_tree(path)
    except FileNotFoundError:
        pass
