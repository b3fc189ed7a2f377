"""The states of a container, and one table of the verbs that each state refuses, with Docker's messages.  [hot]"""

from __future__ import annotations

from pyctr_lite.errors import Conflict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.state.record import State

CREATED, RUNNING, PAUSED, RESTARTING, EXITED = "created", "running", "paused", "restarting", "exited"

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
