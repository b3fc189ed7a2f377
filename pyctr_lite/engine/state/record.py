"""A container on disk: what it is (container.json, written once) and how it is (state.json, at each change)."""

from __future__ import annotations

import time

from pyctr_lite import jsonfile
from pyctr_lite.engine.state import options as engine_options
from pyctr_lite.engine.state import states
from pyctr_lite.formats import timestamps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NEVER = timestamps.NEVER


class Record:
    """What a container is: the options it was made with, and what image and machine made of them."""

    FIELDS = (
        "id",
        "name",
        "created",
        "image",  # the id of its configuration
        "image_name",  # as it was asked for
        "layers",  # the unpacked layers, top first; the first is the Init layer
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

    def __init__(self, options: engine_options.ContainerOptions, **fields: Any) -> None:
        self.options = options
        for name in self.FIELDS:
            setattr(self, name, fields[name])
        self.id_range: list[int] | None = fields.get("id_range")
        """The first host id and how many, of one with a user namespace of its own."""

    @classmethod
    def read(cls, directory: str) -> Record:
        """The record in a container's directory. Fails with FileNotFoundError where there is none."""
        content = jsonfile.read(f"{directory}/container.json")
        return cls(engine_options.ContainerOptions(**content.pop("options")), **content)

    def write(self, directory: str) -> None:
        """Replace container.json; on a full disk it is written over, if there is one."""
        content = {name: getattr(self, name) for name in self.FIELDS}
        if self.id_range:
            content["id_range"] = self.id_range
        jsonfile.rewrite(f"{directory}/container.json", content | {"options": self.options.to_json()})


class State:
    """How a container is: the keys of Docker's `inspect .State`, and what identifies its processes."""

    DEFAULTS: dict[str, Any] = {
        "Status": states.CREATED,
        "Pid": 0,
        "ExitCode": 0,
        "Error": "",
        "OOMKilled": False,
        "StartedAt": NEVER,
        "FinishedAt": NEVER,
        "RestartCount": 0,
        "ManuallyStopped": False,  # since it was last started by hand; no restart policy acts against that
        "PidStart": 0,  # clock ticks since boot: with the pid, no other process
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
        """The state in a container's directory."""
        return cls(**jsonfile.read(f"{directory}/state.json"))

    def write(self, directory: str) -> None:
        """Replace state.json; on a full disk it is written over, so that how a container ended is known."""
        jsonfile.rewrite(f"{directory}/state.json", {name: getattr(self, name) for name in self.DEFAULTS})

    @property
    def running(self) -> bool:
        """Whether the container runs, as Docker counts: paused, or waiting to be restarted, is running too."""
        return self.Status in (states.RUNNING, states.PAUSED, states.RESTARTING)

    @property
    def paused(self) -> bool:
        """Whether the container is paused."""
        return self.Status == states.PAUSED

    @property
    def restarting(self) -> bool:
        """Whether the container has ended, and its restart policy waits to start it again."""
        return self.Status == states.RESTARTING

    def inspect(self) -> dict[str, Any]:
        """As Docker shows it."""
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
    """The time in RFC 3339 with nanoseconds, UTC, as Docker writes it."""
    return timestamps.format(time.time_ns())
