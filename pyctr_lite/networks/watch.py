"""Descriptors with a function for each, and one timer, behind a single descriptor for the caller's poll(2).

An epoll(7) descriptor is readable if one of those that it watches is ready. So sockets come and go without a word
to the loop that calls `handle`.
"""

from __future__ import annotations

import os
import select

from pyctr_lite import linux

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

IN, OUT = select.EPOLLIN, select.EPOLLOUT
FAILED = select.EPOLLHUP | select.EPOLLERR
NEVER = float("inf")
_MAX_EVENTS = 64
_CLOCK_MONOTONIC, _ABSOLUTE = 1, 1


class Watch:
    """A set of descriptors. At a deadline it calls `at_timer`, which returns the next one."""

    def __init__(self, at_timer: Callable[[], float]) -> None:
        self._at_timer, self._armed = at_timer, NEVER
        self._functions: dict[int, Callable[[int], None]] = {}
        self._epoll = select.epoll()
        self._timer = linux.timerfd_create(_CLOCK_MONOTONIC)  # now: later there may be no descriptor left
        self.add(self._timer, IN, self._expired)

    def fileno(self) -> int:
        """Return the descriptor that is readable if there is something to handle."""
        return self._epoll.fileno()

    def add(self, fd: int, events: int, function: Callable[[int], None]) -> None:
        """Call the function with what has happened whenever one of the events has.

        Fails with ENOSPC if the user has too many watches of epoll(7), in all processes. Any container can take
        all of root's, so no caller may let that end the process.
        """
        self._epoll.register(fd, events)
        self._functions[fd] = function

    def change(self, fd: int, events: int) -> None:
        """Wait for other events."""
        self._epoll.modify(fd, events)

    def remove(self, fd: int) -> None:
        """Watch a descriptor no longer. Must be done before it is closed: a child may still have it open."""
        self._epoll.unregister(fd)
        del self._functions[fd]

    def wake_at(self, deadline: float) -> None:
        """Call `at_timer` at this time of time.monotonic(), or earlier."""
        if deadline >= self._armed:
            return
        linux.timerfd_settime(self._timer, deadline, _ABSOLUTE)
        self._armed = deadline

    def handle(self) -> None:
        """Call the functions of the descriptors that are ready. Does not wait."""
        for fd, events in self._epoll.poll(0, _MAX_EVENTS):
            if fd in self._functions:  # an earlier one of this round may have removed it
                self._functions[fd](events)

    def close(self) -> None:
        """Close the timer and the set; the descriptors in it stay open."""
        self.remove(self._timer)
        os.close(self._timer)
        self._functions.clear()
        self._epoll.close()

    def _expired(self, _: int) -> None:
        try:
            os.read(self._timer, 8)
        except BlockingIOError:
            return
        self._armed = NEVER
        self.wake_at(self._at_timer())
