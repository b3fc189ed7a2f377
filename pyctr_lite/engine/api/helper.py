"""The helper process of the Python API: it is single-threaded and starts containers for a client, over a socket.

A threaded program, such as a notebook's kernel, cannot fork and continue in Python: a lock that another thread
holds at that moment stays locked in the child. So the client keeps a helper process, which ends with the client.

It imports what its monitors need: each would import it anew, which took 5 ms of 20.
"""

from __future__ import annotations

import _socket
import gc
import os

from pyctr_lite import caller
from pyctr_lite.cgroups import device_filter, limits  # noqa: F401
from pyctr_lite.engine import background, engine
from pyctr_lite.engine.creation import create  # noqa: F401
from pyctr_lite.engine.life import execute, lifecycle, monitor  # noqa: F401
from pyctr_lite.engine.network import endpoints  # noqa: F401
from pyctr_lite.engine.state import options
from pyctr_lite.engine.stores import images, networks  # noqa: F401
from pyctr_lite.errors import PyctrError
from pyctr_lite.namespaces import network  # noqa: F401
from pyctr_lite.runtime import channel as channels
from pyctr_lite.runtime import filesystem, sysctls  # noqa: F401

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main(fd: int, root: str) -> None:
    """Serve the requests of one client until it closes the socket."""
    caller.settle()
    served = engine.Engine(root)
    background.leave_caller(served.paths, {fd, 2})  # stderr is kept: the client sees a traceback of the helper
    channel = channels.Channel(_socket.socket(fileno=fd))
    os.set_inheritable(fd, False)
    gc.disable()  # for the monitors: a collection copies pages that they share with this process
    gc.freeze()
    while (received := channel.receive()) is not None:
        request, fds = received
        try:
            answer, answer_fds = _serve(served, request)
        except (PyctrError, OSError) as error:
            channel.send(channels.describe_error(error))
        else:
            channel.send(answer, answer_fds)
            for each in answer_fds:
                os.close(each)
        for each in fds:
            os.close(each)
        _reap()
        gc.collect()
    background.end(served.paths)


def _serve(served: engine.Engine, request: dict[str, Any]) -> tuple[dict[str, Any], tuple[int, ...]]:
    """Serve one request, and return the answer and the attachment's descriptor, if there is one."""
    verb = request["do"]
    if verb == "ping":
        return {"type": "pong"}, ()
    size = tuple(request.get("size") or (0, 0))
    if verb == "exec":
        container = served.containers.get(request["id"])
        attachment = execute.run(container, options.ExecOptions(**request["options"]), size)
        return {"type": "started"}, (attachment.detach(),)
    if verb in ("connect", "disconnect"):
        from pyctr_lite.engine.life import networks

        container = served.containers.get(request["id"])
        if verb == "connect":
            networks.connect(container, request["network"], request["wanted"])
        else:
            networks.disconnect(container, request["network"])
        return {"type": "done"}, ()
    if verb == "run":
        container = served.containers.create(options.ContainerOptions(**request["options"]))
    else:
        container = served.containers.get(request["id"])
    started = lifecycle.start(container, foreground=request["foreground"], size=size)
    return {"type": "started", "id": container.id}, (started.detach(),) if started else ()


def _reap() -> None:
    """Reap the monitors that have ended: the helper is their parent."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
