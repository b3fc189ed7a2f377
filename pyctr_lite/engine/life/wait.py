"""Wait for a container's end: its monitor reports it; if the monitor was killed, the end of the process does."""

from __future__ import annotations

from pyctr_lite.engine.life import attach, signals
from pyctr_lite.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.container.container import Container


def until_ended(container: Container) -> int:
    """Wait until a container has ended, and return its exit code: 0 if the container has been removed (--rm)."""
    try:
        finished = container.refresh().FinishedAt
        while (code := _wait_once(container, finished)) is None:
            pass
    except NotFound:
        return 0
    return code


def _wait_once(container: Container, finished: str) -> int | None:
    """Return the exit code if the container has ended since `finished`. Else wait for a change and return None."""
    state = container.refresh()
    if not state.running:
        return state.ExitCode
    if state.restarting:
        if state.FinishedAt != finished:
            return state.ExitCode  # it restarted and ended again between two looks
        from pyctr_lite.engine.life import restart

        restart.wait(container, finished)
        return None
    try:
        connection = attach.connect(container.runtime, output=False)
    except OSError:
        with container.lock:
            pass  # connection refused: the monitor is recording the end, and holds the lock
        now = container.refresh()
        if not now.restarting and (now.Pid, now.PidStart) != (state.Pid, state.PidStart):
            return int(now.ExitCode)  # it ended, even if it has been started again
        if now.running:
            signals.wait_for_end(now)
        return None
    end = connection.wait()
    connection.close()
    return None if end is None else int(end["ExitCode"])
