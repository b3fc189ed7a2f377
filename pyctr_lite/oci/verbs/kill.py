"""`kill`: a signal to a container's first process."""

from __future__ import annotations

import _signal
import os

from pyctr_lite.errors import Conflict
from pyctr_lite.formats import signals
from pyctr_lite.oci import words
from pyctr_lite.oci.arguments import Option
from pyctr_lite.oci.containers import Container

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.oci.arguments import Arguments
    from pyctr_lite.oci.main import Context

SUMMARY = "send a signal to the first process of a container"
WORDS = "ID [SIGNAL]"
OPTIONS = (Option("all", "send it to every process of the container", short="a"),)


def act(arguments: Arguments, context: Context) -> int:
    """Send a signal, by default TERM."""
    id, *given = words.between(arguments, 1, 2)
    number = 0 if given == ["0"] else signals.number(given[0] if given else "TERM")  # 0 only asks if it runs
    container = Container.load(context.root, id)
    orphans = number == _signal.SIGKILL and not container.state["ownPids"] and bool(container.group.pids())
    if arguments.on("all"):
        if number:
            container.group.kill(number)
    elif container.alive():
        send(container, number)
    elif orphans:
        container.group.kill()  # its first process has ended, and in a shared pid namespace the others live on
    else:
        raise Conflict(f"container not running: {id}")
    return 0


def send(container: Container, number: int) -> None:
    """Send a signal to the first process.

    KILL goes to all processes if they share a pid namespace with others: they would survive their first one.
    """
    if number == _signal.SIGKILL and not container.state["ownPids"]:
        container.group.kill()
    try:
        fd = os.pidfd_open(container.pid)
    except ProcessLookupError:
        return
    try:
        if container.alive():  # now that the pid cannot become another process's
            _signal.pidfd_send_signal(fd, number)
    except ProcessLookupError:
        pass
    finally:
        os.close(fd)
