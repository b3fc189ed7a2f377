"""The record of a container, container.json: its configuration."""

from __future__ import annotations

import time

from pyctr_lite import jsonfile
from pyctr_lite.engine.state.options import ContainerOptions
from pyctr_lite.errors import BrokenRecord
from pyctr_lite.formats import timestamps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NEVER = timestamps.NEVER


class Record:
    """A container's configuration: its options, and the values that `create` derived from options, image and host.

    Written by `create`; changed only by `rename`, `update`, `network connect` and `network disconnect`.
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
    __slots__ = (*FIELDS, "id_range", "options", "ports")

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
        self.ports: dict[str, list[dict[str, str]] | None] = fields.get("ports") or {}
        """Docker's PortBindings: {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}; None: exposed only."""

    @classmethod
    def read(cls, directory: str) -> Record:
        """Read the record in a container's directory. Raises FileNotFoundError if it is missing, BrokenRecord."""
        path = f"{directory}/container.json"
        try:
            content = jsonfile.read(path)
            return cls(ContainerOptions(**content.pop("options")), **content)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BrokenRecord(path, error) from None

    def write(self, directory: str) -> None:
        """Replace container.json. On a full disk an existing file is overwritten in place."""
        content = {name: getattr(self, name) for name in self.FIELDS}
        if self.id_range:
            content["id_range"] = self.id_range
        if self.ports:
            content["ports"] = self.ports
        jsonfile.rewrite(f"{directory}/container.json", content | {"options": self.options.to_json()})


def now() -> str:
    """Return the present time in UTC, in RFC 3339 with nanoseconds, as Docker writes it."""
    return timestamps.format(time.time_ns())
