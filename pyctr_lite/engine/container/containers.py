"""The containers of a state directory: find one, list all, those with a volume, a process to join.  [hot]"""

from __future__ import annotations

import os

from pyctr_lite.engine.container.container import Container
from pyctr_lite.engine.state import lock, names, states
from pyctr_lite.engine.state.record import Record
from pyctr_lite.errors import BrokenRecord, Conflict, NotFound, PyctrError
from pyctr_lite.runtime import state as runtime_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from pyctr_lite.engine.home import Home

JOINABLE = ("network", "pid", "ipc", "uts", "userns")
"""The options that can be "container:ID"."""


def get(home: Home, reference: str) -> Container:
    """Find a container by its name, its id or a prefix of its id. Raises NotFound."""
    container = Container.load(home, home.names.find(reference))
    home.load_labs(container.record.options.labs)
    return container


def read_all(home: Home, *, all: bool = True) -> tuple[list[Container], bool]:
    """Read all containers, the newest first; without `all` only those that are running.

    Also return whether every directory was a complete container. One that is not is being created or removed, or a
    command was killed while it did that, or its files are damaged, which `doctor` reports.
    """
    found, complete = [], True
    for id in home.names.directories():
        if len(id) != names.ID_LENGTH:
            complete = False  # it is being removed
            continue
        try:
            if all or states.State.read(home.paths.container(id)).running:
                container = Container.load(home, id)
                if all or container.state.running:
                    found.append(container)
        except (NotFound, FileNotFoundError, BrokenRecord):
            complete = False  # it has just been removed, or is being created, or is damaged
    return sorted(found, key=lambda container: container.record.created, reverse=True), complete


def mounting(home: Home, volume: str) -> list[str]:
    """Return the ids of the containers that mount a volume, running or not."""
    found = []
    for id in home.names.ids():
        try:
            mounts = Record.read(home.paths.container(id)).mounts
        except (FileNotFoundError, BrokenRecord):
            continue  # it is being created or removed, or is damaged
        if any(mount.get("Name") == volume for mount in mounts):
            found.append(id)
    return found


def running_pid(home: Home, reference: str) -> int:
    """Return the pid of a container's first process. Raises Conflict if the container is not running."""
    container = get(home, reference)
    state = container.state
    states.require("join", state, container.name)
    if not runtime_state.alive(state.Pid, state.PidStart):  # the pid may belong to a process of the host by now
        raise Conflict(f"container {container.name} has just ended", "try it again")
    return state.Pid


def check_joined(container: Container, paths: Collection[str]) -> None:
    """Check that the namespaces that a container has joined by these paths are those of running containers.

    Raises Conflict if one of them has ended since the paths were written: another process may have got its pid.
    """
    if not paths:
        return
    modes = (getattr(container.record.options, option) for option in JOINABLE)
    others = [mode.partition(":")[2] for mode in modes if mode.startswith("container:")]
    pids = {running_pid(container.home, other) for other in others}
    if {path.partition("/ns/")[0] for path in paths} != {f"/proc/{pid}" for pid in pids}:
        raise Conflict(f"a container whose namespaces {container.name} joins has just ended", "try it again")


def can_join(home: Home, mode: str) -> bool:
    """Return whether the container of a namespace mode "container:ID" is running."""
    try:
        running_pid(home, mode.partition(":")[2])
    except (Conflict, NotFound):
        return False
    return True


def has_no_record(home: Home, id: str) -> bool:
    """Return whether there is no container with an id, or it has just begun to be created."""
    return not os.path.exists(f"{home.paths.container(id)}/container.json")


def is_idle(home: Home, id: str) -> bool:
    """Return whether no container with an id is running or being created, started, stopped or removed."""
    directory = home.paths.container(id)
    if lock.Lock.is_held(f"{directory}/lock") or lock.Lock.is_held(f"{directory}.removing/lock"):
        return False
    if has_no_record(home, id):
        return not os.path.isdir(directory)
    try:
        return not get(home, id).state.running
    except PyctrError:
        return True
