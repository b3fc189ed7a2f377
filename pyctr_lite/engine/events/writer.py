"""The event log: one JSON object per line in the run directory, rotated at 1 MiB: one older file is kept."""

from __future__ import annotations

import os
import time

from pyctr_lite import jsonfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.state.paths import Paths
    from pyctr_lite.engine.state.record import Record
    from pyctr_lite.networks.store import Network

MAX_BYTES = 1 << 20


def emit(paths: Paths, action: str, record: Record, **attributes: str) -> None:
    """Append an event of a container."""
    known = {"image": record.image_name, "name": record.name}
    old = {"status": action, "id": record.id, "from": record.image_name}
    write(paths, "container", action, record.id, record.labels | known | attributes, old)


def emit_image(paths: Paths, action: str, id: str, name: str) -> None:
    """Append an event of an image."""
    write(paths, "image", action, id, {"name": name}, {"status": action, "id": id})


def emit_volume(paths: Paths, action: str, name: str) -> None:
    """Append an event of a volume."""
    write(paths, "volume", action, name, {"driver": "local"}, {})


def emit_network(paths: Paths, action: str, network: Network, **attributes: str) -> None:
    """Append an event of a network; `container` is the id of the container that is connected or disconnected."""
    write(paths, "network", action, network.id, {**attributes, "name": network.name, "type": "bridge"}, {})


def write(paths: Paths, kind: str, action: str, id: str, attributes: dict[str, str], old: dict[str, str]) -> None:
    """Append an event with one write(2), so that lines of two processes do not mix.

    `old` are the keys of Docker's first event format, which its events still carry.
    """
    now = time.time_ns()
    event = old | {
        "Type": kind,
        "Action": action,
        "Actor": {"ID": id, "Attributes": attributes},
        "scope": "local",
        "time": now // 10**9,
        "timeNano": now,
    }
    try:
        _append(paths.run, jsonfile.dumps(event).encode(errors="surrogateescape") + b"\n")
    except OSError:
        pass  # a container must run on a full disk too


def _append(directory: str, line: bytes) -> None:
    path = f"{directory}/events.jsonl"
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        os.makedirs(directory, 0o711, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, line)
        if os.fstat(fd).st_size > MAX_BYTES and os.path.samestat(os.fstat(fd), os.stat(path)):  # not yet rotated
            os.rename(path, path + ".1")
    finally:
        os.close(fd)
