"""Restart policies: whether a container that has ended is started again, and after how long."""

from __future__ import annotations

import os

from pyctr_lite.engine.events import watch
from pyctr_lite.engine.state import states
from pyctr_lite.errors import InvalidArgument
from pyctr_lite.formats import number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.container.container import Container
    from pyctr_lite.engine.state.record import State

FIRST_DELAY, LONGEST_DELAY = 0.1, 60.0
"""Seconds: each time doubled."""
SETTLED = 10.0
"""Seconds: a container that ran so long begins again with the first delay."""


def parse(text: str) -> tuple[str, int]:
    """The policy's name and, for on-failure, the most restarts (0: no limit). Fails with InvalidArgument."""
    name, colon, count = text.partition(":")
    if name not in ("no", "always", "unless-stopped", "on-failure"):
        raise InvalidArgument(
            f"invalid restart policy: unknown policy '{name}'",
            "it is no, on-failure[:MAX], always, unless-stopped",
        )
    if colon and name != "on-failure":
        raise InvalidArgument(
            f"invalid restart policy: maximum retry count cannot be used with restart policy '{name}'"
        )
    if colon and not number.is_whole(count, 2**31 - 1):
        raise InvalidArgument("invalid restart policy format: maximum retry count must be an integer, 0 or more")
    return name, int(count or 0)


def after_exit(policy: str, state: State) -> bool:
    """Whether a container that has just ended so is to run again: never against `stop` and `kill`."""
    return not state.ManuallyStopped and _wants(policy, state)


def after_boot(policy: str, state: State) -> bool:
    """Whether a container that does not run is to be started with the machine.

    As Docker has it: "always" even where it was stopped by hand, "unless-stopped" not. One that was never started
    waits for its first start.
    """
    from pyctr_lite.engine.state import record

    if state.running or state.StartedAt == record.NEVER:
        return False
    return _wants(policy, state)


def next_delay(last: float, ran: float) -> float:
    """Seconds to wait before the next start; `last` is the wait before this one (0: none), `ran` its seconds."""
    return FIRST_DELAY if last == 0 or ran >= SETTLED else min(last * 2, LONGEST_DELAY)


def disable(container: Container) -> bool:
    """Keep a container's policy from acting; False where nothing is left to end: it waited to be restarted.

    The monitor that waits sees the record change, and goes.
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
    """Wait while a container waits to be restarted after the life that ended at `finished`."""
    with watch.Watch(container.directory) as changes:
        now = container.refresh()
        if not now.restarting or now.FinishedAt != finished:
            return
        try:
            pidfd = os.pidfd_open(container.state.MonitorPid)
        except ProcessLookupError:
            return  # `refresh` tells then
        try:
            changes.wait(pidfd=pidfd)
        finally:
            os.close(pidfd)


def _wants(policy: str, state: State) -> bool:
    name, most = parse(policy or "no")
    if name == "on-failure":
        return bool(state.ExitCode != 0 and (most == 0 or state.RestartCount < most))
    return name == "always" or (name == "unless-stopped" and not state.ManuallyStopped)
