"""The containers of one root directory, as files that a person can read.

    <root>/<id>/state.json    its pid, cgroup, bundle and annotations, as `create` made them
    <root>/<id>/config.json   the bundle's configuration as it was then
    <root>/<id>/exec.fifo     a FIFO, until `start` has opened it; then the container runs

`create` and `delete` hold a lock on <root>/<id>. Whether a container runs is never written down: its first process
is asked (`runtime.state.alive`), so a process that was killed leaves no false state.
"""

from __future__ import annotations

import fcntl
import os
import time

from pyctr_lite import jsonfile
from pyctr_lite.cgroups import paths
from pyctr_lite.errors import Conflict, InvalidArgument, NotFound
from pyctr_lite.runtime import state as runtime_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.cgroups import group as groups

ROOT = "/run/pyctr_oci/containers"
"""The root directory if `--root` does not name another."""
FILTERS = "/run/pyctr_oci/filters"
"""Compiled seccomp profiles, of all root directories (`runtime.seccomp.load`)."""

_ID = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+.-")


class Container:
    """One container: its directory and its state.json."""

    __slots__ = ("directory", "id", "state")

    def __init__(self, root: str, id: str) -> None:
        allowed = "letters, digits, and _ + . - are allowed"
        for character in id:
            if character not in _ID:
                raise InvalidArgument(f"invalid character {character!r} in the container ID {id!r}", allowed)
        if not id or id.startswith("."):  # a file of the root directory may start with a dot
            raise InvalidArgument(f"invalid container ID {id!r}", allowed)
        self.id, self.directory = id, os.path.join(os.path.abspath(root), id)
        self.state: dict[str, Any] = {}

    @classmethod
    def load(cls, root: str, id: str) -> Container:
        """Read a container's state. Raises NotFound if it does not exist, or only in part."""
        container = cls(root, id)
        try:
            container.state = jsonfile.read(f"{container.directory}/state.json")
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(f"container does not exist: {id}") from None
        return container

    @property
    def pid(self) -> int:
        """The pid of its first process."""
        return int(self.state["pid"])

    @property
    def group(self) -> groups.Group:
        """Its cgroup."""
        return paths.from_state(self.state["cgroup"])

    def config(self) -> dict[str, Any]:
        """Read the configuration that it was created with."""
        config: dict[str, Any] = jsonfile.read(f"{self.directory}/config.json")
        return config

    def alive(self) -> bool:
        """Return whether its first process lives. A zombie does not: its parent may reap it much later."""
        return runtime_state.alive(self.pid, int(self.state["pidStart"]))

    def status(self) -> str:
        """Return created, running, paused or stopped (runtime.md, "State")."""
        if not self.alive():
            return "stopped"
        try:
            if self.group.frozen():
                return "paused"
        except FileNotFoundError:
            pass
        return "created" if os.path.exists(f"{self.directory}/{runtime_state.GATE}") else "running"

    def require(self, *statuses: str) -> str:
        """Return its status. Raises Conflict if it is another."""
        status = self.status()
        if status not in statuses:
            verb = "not running" if status in ("stopped", "created") else status
            raise Conflict(f"container {verb}: {self.id} is {status}")
        return status

    def describe(self, status: str = "") -> dict[str, Any]:
        """Return its state as the spec has it (runtime.md, "State"), with runc's further members."""
        status = status or self.status()
        state = self.state
        described = {
            "ociVersion": state["ociVersion"],
            "id": self.id,
            "pid": 0 if status == "stopped" else state["pid"],
            "status": status,
            "bundle": state["bundle"],
            "rootfs": state["rootfs"],
            "created": state["created"],
            "owner": state["owner"],
        }
        if state["annotations"]:
            described["annotations"] = state["annotations"]
        return described

    def hook_state(self, status: str) -> dict[str, Any]:
        """Return its state for a hook's stdin."""
        names = ("ociVersion", "id", "status", "pid", "bundle", "annotations")
        described = self.describe(status)
        return {name: described[name] for name in names if name in described}

    def write(self) -> None:
        """Write state.json, atomically. Only its owner may read it: annotations may hold secrets."""
        jsonfile.write(f"{self.directory}/state.json", self.state, 0o600)


def remove_leftovers(container: Container) -> None:
    """Remove the directory of a `create` that was killed half-way. A directory with other files is left alone.

    Because a root directory is a caller's word: `--root / delete --force etc` must not remove /etc.
    """
    try:
        names = os.listdir(container.directory)
    except (FileNotFoundError, NotADirectoryError):
        return
    if all(name.partition(".json")[0] in (runtime_state.GATE, "d", "f", "state", "config") for name in names):
        runtime_state.remove(container.directory)


class Lock:
    """A lock on a container's directory, held from `create` or `delete` to the end of the command."""

    def __init__(self, container: Container) -> None:
        """Wait for the lock. Raises NotFound if the container is gone by then."""
        try:
            self._fd = os.open(container.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(self._fd), os.stat(container.directory)):
                return
        except (FileNotFoundError, NotADirectoryError):
            pass
        raise NotFound(f"container does not exist: {container.id}")

    def release(self) -> None:
        """Release the lock."""
        os.close(self._fd)


def make(container: Container) -> Lock:
    """Make a new container's directory, locked. Raises Conflict if there is a container of this id."""
    try:
        _make_directory(container.directory)
    except FileExistsError:
        raise Conflict(
            f"container with given ID already exists: {container.id}", "delete it, or choose another id"
        ) from None
    return Lock(container)


def _make_directory(path: str) -> None:
    try:
        os.mkdir(path, 0o711)
    except FileNotFoundError:  # the first container: `os.makedirs` is not a part of the light os
        os.makedirs(os.path.dirname(path), 0o711, exist_ok=True)
        os.mkdir(path, 0o711)


def all_in(root: str) -> list[Container]:
    """Read all containers of a root directory, by id. One that is gone meanwhile is left out."""
    found = []
    try:
        names = sorted(os.listdir(root))
    except FileNotFoundError:
        return []
    for name in names:
        try:
            found.append(Container.load(root, name))
        except (NotFound, InvalidArgument):
            continue
    return found


def now() -> str:
    """Return the time in UTC as RFC 3339 has it, with nanoseconds."""
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanoseconds:09d}Z"
