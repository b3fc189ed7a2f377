"""The names of the containers on a network, as files: <directory>/<name>/<id of a container>.

The names are the container's name, its aliases, the first 12 characters of its id, and its addresses; several
containers may have the same alias. All files of a container are links to one, with its names in the first line and
an address in each further line. A person can list and read them, no command has to lock them, and a resolver reads
only the directory that it was asked for. They belong into the run directory, because addresses do not survive a
reboot.
"""

from __future__ import annotations

import os

from pyctr_lite.networks import dns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Names:
    """The names that a container sees. `networks` are its own: a directory, and the name of the network, each."""

    __slots__ = ("networks",)

    def __init__(self, networks: Sequence[tuple[str, str]]) -> None:
        self.networks = networks

    def addresses(self, name: str) -> list[str] | None:
        """Return the addresses of a name, "web" or "web.network"; None if there is no such name.

        Those of the first network that has it: as Docker. Raises OSError if a file cannot be read.
        """
        for part, within in name_and_network(name):
            for directory, network in self.networks:
                if within in ("", network.lower()):
                    found = [address for _, addresses in _read(f"{directory}/{part}") for address in addresses]
                    if found:
                        return found
        return None

    def name_of(self, address: str) -> str:
        """Return the name of the container with an address, such as web.network, or ""."""
        for directory, network in self.networks:
            for names, _ in _read(f"{directory}/{address}"):
                return f"{names[0]}.{network}"
        return ""


def register(directory: str, container: str, name: str, aliases: Iterable[str], addresses: Iterable[str]) -> None:
    """Give a container its names. Names that DNS cannot express are left out. Idempotent.

    Raises FileExistsError if the container is registered otherwise: `withdraw` it before.
    """
    names = list(dict.fromkeys(filter(None, map(spelled, (name, *aliases, container[:12])))))
    content = "\n".join([" ".join(names), *addresses])
    os.makedirs(directory, 0o755, exist_ok=True)
    temporary = f"{directory}/.{os.getpid()}"
    with open(temporary, "w") as file:
        file.write(content)
    try:
        # First that by which `withdraw` finds the others, even if this process is killed now.
        for entry in (container[:12], *names, *addresses):
            _link(temporary, f"{directory}/{entry}", container, content)
    finally:
        os.unlink(temporary)


def withdraw(directory: str, container: str) -> None:
    """Take a container's names away. Idempotent."""
    first = f"{directory}/{container[:12]}"
    try:
        with open(f"{first}/{container}") as file:
            names, *addresses = file.read().split("\n")
    except FileNotFoundError:
        return
    for entry in (*names.split(), *addresses):
        if entry != container[:12]:
            _unlink(f"{directory}/{entry}", container)
    _unlink(first, container)  # last: a withdrawal that was interrupted can be repeated


def containers(directory: str) -> set[str]:
    """Return the ids of all containers that have names, for a comparison with those that run."""
    try:
        entries = os.listdir(directory)
    except FileNotFoundError:
        return set()
    return {id for entry in entries if not entry.startswith(".") for id in _list(f"{directory}/{entry}")}


def name_and_network(name: str) -> Iterator[tuple[str, str]]:
    """Yield the meanings of a name: "a.b.c" in any network (""), "a.b" in the network "c", "a" in "b.c"."""
    yield name, ""
    end = name.rfind(".")
    while end > 0:
        yield name[:end], name[end + 1 :]
        end = name.rfind(".", 0, end)


def spelled(name: str) -> str:
    """Return a name in lower case, or "" if DNS cannot express it or it has other characters than names have."""
    try:
        return dns.decode_name(dns.encode_name(name))
    except ValueError:
        return ""


def _read(path: str) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the names and the addresses of each container with a name, in the order of their ids."""
    for container in sorted(_list(path)):
        try:
            with open(f"{path}/{container}") as file:
                names, *addresses = file.read().split("\n")
        except FileNotFoundError:
            continue  # withdrawn meanwhile
        yield names.split(), addresses


def _list(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except FileNotFoundError:
        return []


def _link(temporary: str, directory: str, container: str, content: str) -> None:
    while True:
        try:
            os.mkdir(directory, 0o755)  # os.makedirs raises if the directory goes while it looks
        except FileExistsError:
            pass
        try:
            os.link(temporary, f"{directory}/{container}")
            return
        except FileNotFoundError:
            continue  # another container's withdrawal has removed the directory
        except FileExistsError:
            with open(f"{directory}/{container}") as file:
                if file.read() != content:
                    raise
            return


def _unlink(directory: str, container: str) -> None:
    try:
        os.unlink(f"{directory}/{container}")
        os.rmdir(directory)
    except OSError:
        pass  # it is gone, or other containers have the name
