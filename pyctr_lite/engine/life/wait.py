"""Waiting for a container's end: its monitor tells it, or its process where the monitor was killed."""

from __future__ import annotations

from pyctr_lite.engine.life import attach, signals
from pyctr_lite.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.container.container import Container


def until_ended(container: Container) -> int:
    """Wait until a container has ended: its exit code, 0 for one that is gone (--rm)."""
    try:
        finished = container.refresh().FinishedAt
        while (code := _look(container, finished)) is None:
            pass
    except NotFound:
        return 0
    return code


def _look(container: Container, finished: str) -> int | None:
    """Its exit code where it has ended since `finished`; else wait for news of it, and None."""
    state = container.refresh()
    if not state.running:
        return state.ExitCode
    if state.restarting:
        if state.FinishedAt != finished:
            return state.ExitCode  # a life too short to be seen
        from pyctr_lite.engine.life import restart

        restart.wait(container, finished)
        return None
    try:
        connection = attach.connect(container.runtime, output=False)
    except OSError:
        with container.lock:
            pass  # a monitor that takes nobody any more is recording the end
        now = container.refresh()
        if not now.restarting and (now.Pid, now.PidStart) != (state.Pid, state.PidStart):
            return int(now.ExitCode)  # it has ended, and may have been started again
        if now.running:
            signals.wait_for_end(now)
        return None
    end = connection.wait()
    connection.close()
    return None if end is None else int(end["ExitCode"])
