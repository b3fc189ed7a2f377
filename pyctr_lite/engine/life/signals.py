"""Signals to a container's first process."""

from __future__ import annotations

import _signal
import os
import select

from pyctr_lite.linux import explain
from pyctr_lite.runtime import state as runtime_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.state.record import State


def open_pidfd(state: State) -> int | None:
    """A descriptor of a container's first process, never of a later one with its pid; None if it has ended."""
    if state.Pid == 0:  # its restart policy waits to act
        return None
    try:
        pidfd = os.pidfd_open(state.Pid)
    except ProcessLookupError:
        return None
    if not runtime_state.alive(state.Pid, state.PidStart):
        os.close(pidfd)
        return None
    return pidfd


def send(state: State, number: int) -> None:
    """Send a container's first process a signal; one that has ended needs none."""
    pidfd = open_pidfd(state)
    if pidfd is None:
        return
    try:
        text = f"pidfd_send_signal(pid {state.Pid}, {number})"
        explain.step(text, _signal.pidfd_send_signal, pidfd, number)
    except ProcessLookupError:
        pass
    finally:
        os.close(pidfd)


def wait_for_end(state: State) -> None:
    """Wait until a container's first process has ended, with no monitor to ask."""
    pidfd = open_pidfd(state)
    if pidfd is not None:
        poller = select.poll()
        poller.register(pidfd, select.POLLIN)
        poller.poll()
        os.close(pidfd)
