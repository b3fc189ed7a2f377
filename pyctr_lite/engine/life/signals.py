"""Signals to a container's first process."""

from __future__ import annotations

import _signal
import os
import select

from pyctr_lite import linux
from pyctr_lite.linux import explain
from pyctr_lite.runtime import state as runtime_state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.engine.state.states import State


def open_pidfd(state: State) -> int | None:
    """Return a pidfd of a container's first process, None if it has ended (even if its pid is used again)."""
    if state.Pid == 0:  # it has ended and waits for its restart
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
    """Send a signal to a container's first process; do nothing if it has ended."""
    pidfd = open_pidfd(state)
    if pidfd is None:
        return
    with linux.closing(pidfd):
        try:
            text = f"pidfd_send_signal(pid {state.Pid}, {number})"
            explain.step(text, _signal.pidfd_send_signal, pidfd, number)
        except ProcessLookupError:
            pass


def wait_for_end(state: State) -> None:
    """Wait until a container's first process has ended, without its monitor."""
    pidfd = open_pidfd(state)
    if pidfd is not None:
        with linux.closing(pidfd):
            poller = select.poll()
            poller.register(pidfd, select.POLLIN)
            poller.poll()
