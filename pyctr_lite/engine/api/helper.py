"""The helper process of the Python API: single-threaded, it launches containers for a client, over a socket.

A notebook's kernel or a threaded program cannot fork and continue in Python: a lock that another thread holds at
that moment stays locked in the child. So `client` keeps a helper process, which ends with its owner.
"""

from __future__ import annotations

import _socket
import os

from pyctr_lite import caller
from pyctr_lite.engine import background, engine
from pyctr_lite.engine.life import execute, lifecycle
from pyctr_lite.engine.state import options
from pyctr_lite.errors import PyctrError
from pyctr_lite.runtime import channel as channels

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main(fd: int, root: str) -> None:
    """Serve the requests of one owner until it has gone."""
    caller.settle()
    served = engine.Engine(root)
    background.leave_caller(served.paths, {fd, 2})  # what goes wrong in it is the owner's to see
    channel = channels.Channel(_socket.socket(fileno=fd))
    os.set_inheritable(fd, False)
    while (received := channel.receive()) is not None:
        request, fds = received
        try:
            answer, given = _serve(served, request)
        except (PyctrError, OSError) as error:
            channel.send(channels.describe_error(error))
        else:
            channel.send(answer, given)
            for each in given:
                os.close(each)
        for each in fds:
            os.close(each)
        _reap()
    background.end(served.paths)


def _serve(served: engine.Engine, request: dict[str, Any]) -> tuple[dict[str, Any], tuple[int, ...]]:
    """Do one request: its answer, and the descriptor of the attachment where there is one."""
    what = request["do"]
    if what == "ping":
        return {"type": "pong"}, ()
    size = tuple(request.get("size") or (0, 0))
    if what == "exec":
        container = served.containers.get(request["id"])
        attachment = execute.run(container, options.ExecOptions(**request["options"]), size)
        return {"type": "started"}, (attachment.sock.detach(),)
    if what == "run":
        container = served.containers.create(options.ContainerOptions(**request["options"]))
    else:
        container = served.containers.get(request["id"])
    try:
        started = lifecycle.start(container, foreground=request["foreground"], size=size)
    except (PyctrError, OSError):
        if what == "run" and container.record.options.remove:
            lifecycle.remove(container, volumes=True)
        raise
    return {"type": "started", "id": container.id}, (started.sock.detach(),) if started else ()


def _reap() -> None:
    """Take the exit of monitors that have ended: nobody else will."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
