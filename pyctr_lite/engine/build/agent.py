"""The socket of `RUN --mount=type=ssh`: it has the owner and mode of the mount, and leads to the caller's agent.

A helper passes the bytes on, because the agent's own socket belongs to the caller. It ends with the RUN, also if
the build is killed.
"""

from __future__ import annotations

import os
import selectors
import socket
from contextlib import contextmanager

from pyctr_lite.engine import background
from pyctr_lite.engine.life import faults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyctr_lite.engine.state.paths import Paths

_NAME = "agent"
_SIZE = 1 << 16


@contextmanager
def forwarded(paths: Paths, directory: str, agent: str, owner: tuple[int, int], mode: int) -> Iterator[str]:
    """Yield the path of a new socket in a directory. Its connections lead to the agent until the context ends."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            short = f"/proc/self/fd/{fd}/{_NAME}"  # a socket's path has at most 107 bytes
            listener.bind(short)
            os.chown(short, *owner)
            os.chmod(short, mode)
            listener.listen()

            def body() -> None:
                background.leave_caller(paths, {reading, listener.fileno()})
                serve(listener, agent, reading)

            background.start(paths, body, lambda error: faults.append(paths, "agent of a build", repr(error)))
        yield f"{directory}/{_NAME}"
    finally:
        for each in (fd, reading, writing):
            os.close(each)


def serve(listener: socket.socket, agent: str, ending: int) -> None:
    """Lead connections to the agent, until the other end of the pipe `ending` is closed."""
    peers: dict[socket.socket, socket.socket] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(ending, selectors.EVENT_READ)
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj == ending:
                    return
                if key.fileobj is listener:
                    pair = _connected(listener, agent)
                    for each in pair:
                        selector.register(each, selectors.EVENT_READ)
                    peers |= zip(pair, reversed(pair), strict=True)
                elif key.fileobj in peers:
                    source = key.fileobj
                    if not _passed_on(source, peers[source]):
                        for each in (source, peers.pop(source)):
                            peers.pop(each, None)
                            selector.unregister(each)
                            each.close()


def _connected(listener: socket.socket, agent: str) -> list[socket.socket]:
    """Accept a connection and connect to the agent; return both ends, none if the agent is gone."""
    inside, outside = listener.accept()[0], socket.socket(socket.AF_UNIX)
    try:
        outside.connect(agent)
        return [inside, outside]
    except OSError:
        inside.close()
        outside.close()
        return []


def _passed_on(source: socket.socket, target: socket.socket) -> bool:
    """Pass bytes on; return False at the end of the connection."""
    try:
        data = source.recv(_SIZE)
        target.sendall(data)
        return bool(data)
    except OSError:
        return False
