"""What happened to whom: a JSON object a line, in the run directory, kept to the last megabyte."""

from __future__ import annotations

import os
import time

from pyctr_lite import jsonfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.state.paths import Paths
    from pyctr_lite.engine.state.record import Record

MAX_BYTES = 1 << 20


def emit(paths: Paths, action: str, record: Record, **attributes: str) -> None:
    """Write that something happened to a container."""
    known = {"image": record.image_name, "name": record.name}
    old = {"status": action, "id": record.id, "from": record.image_name}
    write(paths, "container", action, record.id, record.labels | known | attributes, old)


def emit_image(paths: Paths, action: str, id: str, name: str) -> None:
    """Write that something happened to an image."""
    write(paths, "image", action, id, {"name": name}, {"status": action, "id": id})


def emit_volume(paths: Paths, action: str, name: str) -> None:
    """Write that something happened to a volume."""
    write(paths, "volume", action, name, {"driver": "local"}, {})


def write(paths: Paths, kind: str, action: str, id: str, attributes: dict[str, str], old: dict[str, str]) -> None:
    """Append an event, in one write(2): lines of two processes do not mix. `old` has the keys that came first."""
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
        pass  # a full disk must not stop a container


def _append(directory: str, line: bytes) -> None:
    path = f"{directory}/events.jsonl"
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        os.makedirs(directory, 0o711, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, line)
        if os.fstat(fd).st_size > MAX_BYTES and os.path.samestat(os.fstat(fd), os.stat(path)):  # not done yet
            os.rename(path, path + ".1")
    finally:
        os.close(fd)
