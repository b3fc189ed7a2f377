"""A container on disk: its configuration (container.json) and its state (state.json)."""

from __future__ import annotations

import time

from pyctr_lite import jsonfile
from pyctr_lite.engine.state import states
from pyctr_lite.engine.state.options import ContainerOptions
from pyctr_lite.formats import timestamps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NEVER = timestamps.NEVER


class Record:
    """A container's configuration: its options, and the values that `create` derived from options, image and host.

    Written by `create`; changed only by `rename` and `update`.
    """

    FIELDS = (
        "id",
        "name",
        "created",
        "image",  # the image's id
        "image_name",  # as given to `create`
        "layers",  # paths of the unpacked layers, top first; the first is the Init layer
        "args",
        "env",
        "workdir",
        "account",  # `process.user` of the OCI runtime spec
        "labels",
        "hostname",
        "stop_signal",
        "mounts",  # with the keys of `inspect`
    )
    __slots__ = (*FIELDS, "id_range", "options")

    id: str
    name: str
    created: str
    image: str
    image_name: str
    layers: list[str]
    args: list[str]
    env: list[str]
    workdir: str
    account: dict[str, Any]
    labels: dict[str, str]
    hostname: str
    stop_signal: str
    mounts: list[dict[str, Any]]

    def __init__(self, options: ContainerOptions, **fields: Any) -> None:
        self.options = options
        for name in self.FIELDS:
            setattr(self, name, fields[name])
        self.id_range: list[int] | None = fields.get("id_range")
        """The first host id and the number of ids of the container's own user namespace; None without one."""

    @classmethod
    def read(cls, directory: str) -> Record:
        """Read the record in a container's directory. Raises FileNotFoundError if it is missing."""
        content = jsonfile.read(f"{directory}/container.json")
        return cls(ContainerOptions(**content.pop("options")), **content)

    def write(self, directory: str) -> None:
        """Replace container.json. On a full disk an existing file is overwritten in place."""
        content = {name: getattr(self, name) for name in self.FIELDS}
        if self.id_range:
            content["id_range"] = self.id_range
        jsonfile.rewrite(f"{directory}/container.json", content | {"options": self.options.to_json()})


class State:
    """A container's state: the keys of Docker's `inspect .State`, and the identity of its processes."""

    DEFAULTS: dict[str, Any] = {
        "Status": states.CREATED,
        "Pid": 0,
        "ExitCode": 0,
        "Error": "",
        "OOMKilled": False,
        "StartedAt": NEVER,
        "FinishedAt": NEVER,
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
        """Read the state in a container's directory."""
        return cls(**jsonfile.read(f"{directory}/state.json"))

    def write(self, directory: str) -> None:
        """Replace state.json. On a full disk it is overwritten in place, so the end of a container is recorded."""
        jsonfile.rewrite(f"{directory}/state.json", {name: getattr(self, name) for name in self.DEFAULTS})

    @property
    def running(self) -> bool:
        """Whether the container runs. As in Docker, a paused or restarting container is running, too."""
        return self.Status in (states.RUNNING, states.PAUSED, states.RESTARTING)

    @property
    def paused(self) -> bool:
        """Whether the container is paused."""
        return self.Status == states.PAUSED

    @property
    def restarting(self) -> bool:
        """Whether the container has ended and waits for a restart by its policy."""
        return self.Status == states.RESTARTING

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


def now() -> str:
    """Return the present time in UTC, in RFC 3339 with nanoseconds, as Docker writes it."""
    return timestamps.format(time.time_ns())
