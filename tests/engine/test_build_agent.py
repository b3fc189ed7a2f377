"""The socket of `RUN --mount=type=ssh`, and the helper behind it."""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyctr_lite.engine.build import agent
from pyctr_lite.engine.state.paths import Paths


@pytest.fixture
def directory() -> Iterator[Path]:
    """Return a directory with a path that is short enough for a socket."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def connected(path: str) -> socket.socket:
    inside = socket.socket(socket.AF_UNIX)
    inside.connect(path)
    return inside


def connect_until_refused(path: str) -> None:
    """Its process has closed the connections, and is about to close the socket."""
    while True:
        connected(path).close()
        time.sleep(0.01)


def test_connections_lead_to_the_agent_until_the_command_ends(root: Path, directory: Path) -> None:
    with socket.socket(socket.AF_UNIX) as theirs:
        theirs.bind(f"{directory}/theirs")
        theirs.listen()
        with agent.forwarded(Paths(str(root)), str(directory), f"{directory}/theirs", (0, 0), 0o600) as path:
            for number in (b"1", b"2"):
                with connected(path) as inside, inside.makefile("rb") as stream:
                    outside, _ = theirs.accept()
                    inside.sendall(number)
                    assert outside.recv(100) == number
                    outside.sendall(bytes(300_000))
                    outside.close()
                    assert len(stream.read()) == 300_000
            kept = connected(path)
            outside, _ = theirs.accept()
        with kept, outside:
            assert kept.recv(1) == outside.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            connect_until_refused(path)


def test_without_an_agent_a_connection_ends(root: Path, directory: Path) -> None:
    with (
        agent.forwarded(Paths(str(root)), str(directory), f"{directory}/gone", (0, 0), 0o600) as path,
        connected(path) as inside,
    ):
        assert inside.recv(1) == b""
