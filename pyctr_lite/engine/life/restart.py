"""Restart policies: whether a container that has ended is restarted, and after which delay."""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.engine.events import watch
from pyctr_lite.engine.state import states
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.container.container import Container
    from pyctr_lite.engine.state.states import State

MIN_DELAY, MAX_DELAY = 0.1, 60.0
"""Seconds before a restart: twice as many each time."""
STABLE_AFTER = 10.0
"""Seconds after which a running container counts as stable: its next delay is MIN_DELAY again."""


def parse(text: str) -> tuple[str, int]:
    """Parse a policy: its name and, for on-failure, the max number of restarts (0: no limit).

    Raises InvalidArgument.
    """
    name, colon, count = text.partition(":")
    if name not in ("no", "always", "unless-stopped", "on-failure"):
        raise InvalidArgument(
            f"invalid restart policy: unknown policy '{name}'",
            "the policies are no, on-failure[:MAX], always and unless-stopped",
        )
    if colon and name != "on-failure":
        raise InvalidArgument(
            f"invalid restart policy: maximum retry count cannot be used with restart policy '{name}'"
        )
    if colon and not number.is_whole(count, 2**31 - 1):
        raise InvalidArgument("invalid restart policy format: maximum retry count must be an integer, 0 or more")
    return name, int(count or 0)


def after_exit(policy: str, state: State) -> bool:
    """Return whether a container that has just ended is to be restarted: never after `stop` or `kill`."""
    return not state.ManuallyStopped and _requires_restart(policy, state)


def after_boot(policy: str, state: State) -> bool:
    """Return whether a stopped container is to be started when the machine boots.

    As in Docker: "always" starts a container that was stopped by hand, "unless-stopped" does not. A container
    that has never been started is not started.
    """
    from pyctr_lite.engine.state import record

    if state.running or state.StartedAt == record.NEVER:
        return False
    return _requires_restart(policy, state)


def next_delay(last: float, ran: float) -> float:
    """Return the seconds before the next start. `last`: the delay before this start (0: none); `ran`: seconds."""
    return MIN_DELAY if last == 0 or ran >= STABLE_AFTER else min(last * 2, MAX_DELAY)


def disable(container: Container) -> bool:
    """Disable a container's policy. Return whether it has a process to end, False if it waited for a restart.

    The waiting monitor notices the changed state and exits.
    """
    with container.lock:
        state = container.refresh()
        if state.running:
            state.ManuallyStopped = True
            if state.restarting:
                state.Status, state.MonitorPid, state.MonitorStart = states.EXITED, 0, 0
            state.write(container.directory)
        return state.running


def wait(container: Container, finished: str) -> None:
    """Wait as long as a container that ended at `finished` waits for its restart."""
    with watch.Watch(container.directory) as changes:
        now = container.refresh()
        if not now.restarting or now.FinishedAt != finished:
            return
        try:
            pidfd = os.pidfd_open(container.state.MonitorPid)
        except ProcessLookupError:
            return  # the next `refresh` repairs the state
        with linux.closing(pidfd):
            changes.wait(pidfd=pidfd)


def _requires_restart(policy: str, state: State) -> bool:
    name, max_restarts = parse(policy or "no")
    if name == "on-failure":
        return bool(state.ExitCode != 0 and (max_restarts == 0 or state.RestartCount < max_restarts))
    return name == "always" or (name == "unless-stopped" and not state.ManuallyStopped)
