"""`delete`: remove a stopped container's cgroup and state."""

from __future__ import annotations

import _signal
import os
import select

from pyctr_lite.errors import Conflict, NotFound, PyctrError, UsageError
from pyctr_lite.oci import containers, words
from pyctr_lite.oci.arguments import Option
from pyctr_lite.oci.containers import Container, Lock
from pyctr_lite.oci.verbs import kill
from pyctr_lite.runtime import state as runtime_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.oci.arguments import Arguments
    from pyctr_lite.oci.main import Context

SUMMARY = "remove a stopped container"
WORDS = "ID"
OPTIONS = (
    Option("force", "kill it if it runs; no error if there is none", short="f"),
    Option(
        "regex", "ID is a regular expression: remove every container that it describes (crun's option)", short="r"
    ),
)

_SECONDS = 10
"""How long a killed process may take to end."""
_MOMENT = 200
"""Milliseconds in which most do."""


def act(arguments: Arguments, context: Context) -> int:
    """Remove a container's cgroup and state, and run its poststop hooks."""
    id, force = words.one_id(arguments), arguments.on("force")
    if arguments.on("regex"):
        for name in _described(id, context):
            _remove(name, context, force=force)
    else:
        _remove(id, context, force=force)
    return 0


def _described(pattern: str, context: Context) -> list[str]:
    """Return the ids that match a regular expression from their start on. Raises UsageError."""
    import re

    try:
        return [found.id for found in containers.all_in(context.root) if re.match(pattern, found.id)]
    except re.error as error:
        raise UsageError(f"--regex {pattern}: {error}") from None


def _remove(id: str, context: Context, *, force: bool) -> None:
    container = Container(context.root, id)
    try:
        lock = Lock(container)
        container = Container.load(context.root, id)
    except NotFound:
        if not force:
            raise
        containers.remove_leftovers(container)
        return
    delete(container, context, force=force)
    lock.release()


def delete(container: Container, context: Context, *, force: bool) -> None:
    """Remove a container, that of a created one too. Raises Conflict if it runs and `force` is not set."""
    status = container.status()
    if status not in ("stopped", "created") and not force:
        raise Conflict(f"cannot delete container {container.id} that is not stopped: {status}", "--force kills it")
    if status != "stopped":
        if status == "paused":
            container.group.thaw()
        kill.send(container, _signal.SIGKILL)
        _wait(container)
    container.group.destroy()
    hooks = container.config()["hooks"]["poststop"] if "poststop" in container.state["hooks"] else []
    state = container.hook_state("stopped")
    runtime_state.remove(container.directory)
    if hooks:
        from pyctr_lite.runtime import hooks as hook_runner

        for error in hook_runner.run_all("poststop", hooks, state):
            context.log.warning(str(error))


def _wait(container: Container) -> None:
    """Wait until the first process has ended. Raises PyctrError if it does not: it is stuck in the kernel."""
    try:
        fd = os.pidfd_open(container.pid)
    except ProcessLookupError:
        return
    try:
        poller = select.poll()
        poller.register(fd, select.POLLIN)
        if container.alive() and not poller.poll(_MOMENT):
            _return_to_group(container)
        if container.alive() and not poller.poll(_SECONDS * 1000):
            raise PyctrError(
                f"container {container.id}: process {container.pid} does not end",
                "it waits for a disk, or for the parent of an exec's process to reap that",
            )
    finally:
        os.close(fd)


def _return_to_group(container: Container) -> None:
    """Move the first process back into its group: in a frozen group of version 1 no signal reaches it."""
    try:
        container.group.add(container.pid)
    except OSError:
        pass  # it has ended just now
