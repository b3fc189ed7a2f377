"""Names of containers: take a name in one atomic step; find an id by name or by prefix."""

from __future__ import annotations

import errno
import os

from pyctr_lite.engine.state import lock
from pyctr_lite.errors import Conflict, InvalidArgument, NotFound

_ADJECTIVES = (
    "agile amber bold brave bright calm clever cosy crisp curious deft eager earnest fair fluent gentle "
    "happy hardy keen kind lively lucid merry mellow modest neat nimble patient plucky polite proud quick "
    "quiet sharp steady sunny swift tidy vivid warm wise witty"
).split()
_PEOPLE = (
    "allen bartik borg boyd cerf church codd conway corbato dahl dijkstra easley engelbart feinler floyd "
    "goldberg granville hamilton hoare hopper iverson johnson keller kernighan knuth lamport liskov "
    "lovelace mccarthy mcilroy moore naur nygaard perlman postel ritchie shannon spence stallman thompson "
    "torvalds turing wilkes wirth"
).split()
ID_LENGTH = 64
_ALLOWED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


class Names:
    """The names of one engine: `<root>/names/<name>` is a symbolic link to the id."""

    def __init__(self, directory: str, containers: str) -> None:
        self.directory, self.containers = directory, containers

    def take(self, name: str, id: str, other: str = "") -> str:
        """Take a name for an id, or generate one if it is "". Raises Conflict if the name is in use.

        `other` is a name that the id already has: it makes `take` work on a full disk.
        """
        if not name:
            return self._generate(id)
        check(name)
        try:
            self._link(name, id, other)
        except FileExistsError:
            owner = os.readlink(f"{self.directory}/{name}")
            directory = f"{self.containers}/{owner}"
            if os.path.exists(f"{directory}/container.json") or lock.Lock.is_held(f"{directory}/lock"):
                raise Conflict(
                    f'the container name "{name}" is already in use by container {owner[:12]}',
                    f"to free the name, remove it (rm {name}) or rename it",
                ) from None
            self.release(name, owner)  # its container was removed, or never completed
            self._link(name, id, other)
        return name

    def release(self, name: str, id: str) -> None:
        """Release a name if it belongs to this id."""
        try:
            if os.readlink(f"{self.directory}/{name}") == id:
                os.unlink(f"{self.directory}/{name}")
        except OSError:
            pass

    def find(self, reference: str) -> str:
        """Find an id by the whole id, a name or a prefix of the id, in this order.

        A name that is another container's id never hides that container (CVE-2014-5278).
        Raises NotFound, with the closest name as its hint.
        """
        if not reference:
            raise InvalidArgument("the name of a container is empty")
        if len(reference) == ID_LENGTH and reference.isalnum() and os.path.isdir(f"{self.containers}/{reference}"):
            return reference
        name = reference.removeprefix("/")
        if name and "/" not in name:
            try:
                id = os.readlink(f"{self.directory}/{name}")
                if os.path.isdir(f"{self.containers}/{id}"):
                    return id
            except OSError:
                pass
        ids = self.ids()
        found = [id for id in ids if id.startswith(reference)]
        if len(found) == 1:
            return found[0]
        if found:
            raise Conflict(
                f"{len(found)} containers have an id that starts with {reference}", "use a longer prefix"
            )
        raise NotFound(f"No such container: {reference}", self._suggestion(name))

    def ids(self) -> list[str]:
        """Return the ids of all containers."""
        return [name for name in self.directories() if len(name) == ID_LENGTH]

    def directories(self) -> list[str]:
        """Return the names of all container directories: ids, and other names for containers being removed."""
        try:
            return os.listdir(self.containers)
        except FileNotFoundError:
            return []

    def _link(self, name: str, id: str, other: str = "") -> None:
        path = f"{self.directory}/{name}"
        try:
            os.symlink(id, path)
        except FileNotFoundError:
            os.makedirs(self.directory, 0o700, exist_ok=True)
            os.symlink(id, path)
        except OSError as error:
            if not other or error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            os.link(f"{self.directory}/{other}", path, follow_symlinks=False)
            os.utime(path, follow_symlinks=False)  # a fresh name must not look like a leftover, which is old

    def _generate(self, id: str) -> str:
        for attempt in range(1000):
            first, second = os.urandom(2)
            name = f"{_ADJECTIVES[first % len(_ADJECTIVES)]}_{_PEOPLE[second % len(_PEOPLE)]}"
            if attempt > 2:
                name += str(int.from_bytes(os.urandom(2)) % 10 ** min(attempt, 4))
            try:
                self._link(name, id)
            except FileExistsError:
                continue
            return name
        raise Conflict("no free name was found", "give one with --name")

    def _suggestion(self, name: str) -> str:
        from pyctr_lite import suggest

        names = os.listdir(self.directory) if os.path.isdir(self.directory) else []
        return suggest.did_you_mean(name, names) or "ps -a lists all containers"


def check(name: str) -> None:
    """Raise InvalidArgument unless a name is valid in Docker: [a-zA-Z0-9][a-zA-Z0-9_.-]+."""
    if len(name) > 255:
        raise InvalidArgument(f"Invalid container name ({name[:20]}…), it is longer than 255 characters")
    if len(name) < 2 or not name[0].isalnum() or not set(name) <= _ALLOWED:
        raise InvalidArgument(f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed")
