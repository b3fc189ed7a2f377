"""The state of a container, state.json, and one table of the verbs that each state refuses.  [hot]"""

from __future__ import annotations

from pyctr_lite import jsonfile
from pyctr_lite.errors import BrokenRecord, Conflict
from pyctr_lite.formats import timestamps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CREATED, RUNNING, PAUSED, RESTARTING, EXITED = "created", "running", "paused", "restarting", "exited"


class State:
    """A container's state: the keys of Docker's `inspect .State`, and the identity of its processes."""

    DEFAULTS: dict[str, Any] = {
        "Status": CREATED,
        "Pid": 0,
        "ExitCode": 0,
        "Error": "",
        "OOMKilled": False,
        "StartedAt": timestamps.NEVER,
        "FinishedAt": timestamps.NEVER,
        "RestartCount": 0,
        "ManuallyStopped": False,  # since the last start by a command; it suspends the restart policy
        "PidStart": 0,  # clock ticks since boot; pid and start time identify a process
        "MonitorPid": 0,
        "MonitorStart": 0,
    }
    __slots__ = tuple(DEFAULTS)

    Status: str
    Pid: int
    ExitCode: int
    Error: str
    OOMKilled: bool
    StartedAt: str
    FinishedAt: str
    RestartCount: int
    ManuallyStopped: bool
    PidStart: int
    MonitorPid: int
    MonitorStart: int

    def __init__(self, **given: Any) -> None:
        for name, default in self.DEFAULTS.items():
            setattr(self, name, given.get(name, default))

    @classmethod
    def read(cls, directory: str) -> State:
        """Read the state in a container's directory. Raises FileNotFoundError if it is missing, BrokenRecord."""
        path = f"{directory}/state.json"
        try:
            return cls(**jsonfile.read(path))
        except (ValueError, TypeError) as error:
            raise BrokenRecord(path, error) from None

    def write(self, directory: str) -> None:
        """Replace state.json. On a full disk it is overwritten in place, so the end of a container is recorded."""
        jsonfile.rewrite(f"{directory}/state.json", {name: getattr(self, name) for name in self.DEFAULTS})

    @property
    def running(self) -> bool:
        """Whether the container runs. As in Docker, a paused or restarting container is running, too."""
        return self.Status in (RUNNING, PAUSED, RESTARTING)

    @property
    def paused(self) -> bool:
        """Whether the container is paused."""
        return self.Status == PAUSED

    @property
    def restarting(self) -> bool:
        """Whether the container has ended and waits for a restart by its policy."""
        return self.Status == RESTARTING

    def inspect(self) -> dict[str, Any]:
        """Return the state as `docker inspect` shows it."""
        return {
            "Status": self.Status,
            "Running": self.running,
            "Paused": self.paused,
            "Restarting": self.restarting,
            "OOMKilled": self.OOMKilled,
            "Dead": False,
            "Pid": self.Pid,
            "ExitCode": self.ExitCode,
            "Error": self.Error,
            "StartedAt": self.StartedAt,
            "FinishedAt": self.FinishedAt,
        }


_NOT_RUNNING = ("container {name} is not running", "start {name} first")
_WAIT = ("container {name} is restarting, wait until the container is running", "")
_NOT_PAUSED = ("container {name} is not paused", "")
_CANNOT_KILL = ("cannot kill container: {name}: container is not running", "")
_CANNOT_JOIN = ("cannot join namespace of a non running container: {name}", "start it first")
_CANNOT_REMOVE = (
    "cannot remove container {name}: container is {status}",
    "stop it first, or remove it with -f",
)
_STOPPED_ATTACH = ("You cannot attach to a stopped container, start it first", "")
_ROOT_IN_USE = (
    "container {name} is running: its root is mounted in its own mount namespace",
    "its files are in /proc/{pid}/root",
)

REFUSED: dict[str, dict[str, tuple[str, str]]] = {
    "start": {PAUSED: ("cannot start a paused container, try unpause instead: {name}", "")},
    "kill": {CREATED: _CANNOT_KILL, EXITED: _CANNOT_KILL},
    "pause": {
        CREATED: ("container {name} is not running", ""),
        EXITED: ("container {name} is not running", ""),
        PAUSED: ("container {name} is already paused", ""),
        RESTARTING: ("container {name} is restarting", ""),
    },
    "unpause": {CREATED: _NOT_PAUSED, EXITED: _NOT_PAUSED, RUNNING: _NOT_PAUSED, RESTARTING: _NOT_PAUSED},
    "rm": {RUNNING: _CANNOT_REMOVE, PAUSED: _CANNOT_REMOVE, RESTARTING: _CANNOT_REMOVE},
    "attach": {
        CREATED: _STOPPED_ATTACH,
        EXITED: _STOPPED_ATTACH,
        PAUSED: ("You cannot attach to a paused container, unpause it first", "unpause {name}"),
        RESTARTING: ("You cannot attach to a restarting container, wait until it is running", ""),
    },
    "exec": {
        CREATED: _NOT_RUNNING,
        EXITED: _NOT_RUNNING,
        PAUSED: ("container {name} is paused, unpause it before exec", ""),
        RESTARTING: _WAIT,
    },
    "top": {
        CREATED: ("container {name} is not running", ""),
        EXITED: ("container {name} is not running", ""),
        RESTARTING: _WAIT,
    },
    "mount": {
        RUNNING: _ROOT_IN_USE,
        PAUSED: _ROOT_IN_USE,
        RESTARTING: ("container {name} is restarting", "stop it first"),
    },
    "join": {CREATED: _CANNOT_JOIN, EXITED: _CANNOT_JOIN, RESTARTING: _CANNOT_JOIN},
}
"""For each verb: the states that refuse it, with message and hint. `join` is `--pid container:NAME` etc."""


def require(verb: str, state: State, name: str) -> None:
    """Raise Conflict if a container in this state refuses the verb."""
    if refusal := REFUSED[verb].get(state.Status):
        values = {"name": name, "status": state.Status, "pid": state.Pid}
        raise Conflict(*(text.format(**values) for text in refusal))
