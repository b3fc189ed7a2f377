"""A process between its fork and its program: both ends of the channel between it and its launcher."""

from __future__ import annotations

import os
import select

from pyctr_lite.errors import PyctrError
from pyctr_lite.linux import kernelfile
from pyctr_lite.runtime import channel as channels
from pyctr_lite.runtime import state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pyctr_lite.cgroups import group as groups
    from pyctr_lite.runtime import seccomp, seccomp_listener


class Launched:
    """A forked process that has not executed its program yet."""

    def __init__(
        self,
        pid: int,
        pidfd: int,
        channel: channels.Channel,
        group: groups.Group,
        directory: str = "",
        run_hooks: Callable[[int], None] = lambda pid: None,
    ) -> None:
        self.pid, self.pidfd, self.channel, self.group, self.directory = pid, pidfd, channel, group, directory
        self._run_hooks = run_hooks
        self._delivery: seccomp_listener.Delivery | None = None
        self.console = -1
        """The master of its terminal, -1 without one."""
        self._limit: tuple[str, str] | None = None
        """The file of a raised limit and its old value, to be restored when the process in between has exited."""

    def deliver_listener(self, filter: seccomp.Filter | None, state: dict[str, Any]) -> None:
        """Send the listener of the filter, if it has one, to its agent as soon as the process announces it."""
        if filter is not None and filter.listens:
            from pyctr_lite.runtime import seccomp_listener

            self._delivery = seccomp_listener.Delivery(filter, state)

    def let_go(self) -> None:
        """Let the process go on: the launcher has done its part (`init.wait_for_launcher`)."""
        try:
            self.channel.send({"type": "go"})
        except (BrokenPipeError, ConnectionResetError):
            pass  # the process has exited; the error that it sent before is reported

    def detach(self) -> None:
        """Let a process created with `Settings.detached` wait at the gate by itself: the launcher may exit."""
        self.let_go()

    def has_ended(self) -> bool:
        """Return whether the process has ended."""
        poller = select.poll()
        poller.register(self.pidfd, select.POLLIN)
        return bool(poller.poll(0))

    def wait_created(self) -> None:
        """Wait until the process is ready to execute its program. Raises its error."""
        while True:
            received = self.channel.receive()
            if received is None:
                raise PyctrError(
                    "the container's first process was killed before its program ran", "out of memory?"
                )
            message, fds = received
            if message["type"] == "created":
                return
            self._handle(message, fds)

    def wait_executed(self) -> None:
        """Wait until the program runs: the exec closes the child's end of the channel. Raises its error."""
        while (received := self.channel.receive()) is not None:
            self._handle(*received)
        self.channel.close()

    def start(self) -> None:
        """Open the gate, and wait until the program runs."""
        state.open_gate(self.directory)
        self.wait_executed()

    def destroy(self) -> None:
        """Kill and reap the process. Idempotent."""
        try:
            os.kill(self.pid, 9)
        except ProcessLookupError:
            pass
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:
            pass
        if self._limit is not None:
            kernelfile.write(*self._limit)
        self.close()

    def close(self) -> None:
        """Close the channel and the descriptors. The process goes on."""
        self.channel.close()
        for name in ("pidfd", "console"):
            fd = getattr(self, name)
            if fd >= 0:
                os.close(fd)
                setattr(self, name, -1)

    def _handle(self, message: dict[str, Any], fds: list[int]) -> None:
        if message["type"] == "console":
            self.console = fds[0]
        elif message["type"] == "born":
            self._follow(message["pid"])
        elif message["type"] == "built":
            self._run_hooks(self.pid)
            self.let_go()
        elif message["type"] == "listening" and self._delivery is not None:
            self._delivery.announced(self.pidfd, message["fd"], self.pid, forks=message["forks"])
            self.let_go()
        elif message["type"] == "full":
            self._raise_limit(message["message"])
        elif message["type"] == "error":
            channels.raise_error(message)

    def _follow(self, pid: int) -> None:
        """Replace the process by its child, which was born in the pid namespace. The process itself exits."""
        os.waitpid(self.pid, 0)
        os.close(self.pidfd)
        self.pid, self.pidfd = pid, os.pidfd_open(pid)
        if self._delivery is not None:
            self._delivery.born(pid)
        if self._limit is not None:
            kernelfile.write(*self._limit)
            self._limit = None
            self.let_go()

    def _raise_limit(self, message: str) -> None:
        """Raise pids.max by one until the process exits: it counts itself, and could not fork at the limit."""
        directory = self.group.directory("pids")
        limit = kernelfile.read(f"{directory}/pids.max") if directory else "max"
        if limit == "max" or int(kernelfile.read(f"{directory}/pids.current")) > int(limit):
            hint = "" if limit == "max" else f"its limit is {limit} (--pids-limit)"
            raise PyctrError(f"the container cannot have more processes: {message}", hint)
        self._limit = (f"{directory}/pids.max", limit)
        kernelfile.write(f"{directory}/pids.max", str(int(limit) + 1))
        self.let_go()


def wait_for_launcher(channel: channels.Channel) -> dict[str, int]:
    """Wait until the launcher has set the id maps, the limits and the OOM score, which the child cannot.

    Returns the mounts that the launcher made for a user namespace: descriptors by destination.
    """
    trees: dict[str, int] = {}
    while (received := channel.receive()) is not None:
        message, fds = received
        if message["type"] == "go":
            return trees
        trees[message["destination"]] = fds[0]
    raise SystemExit("the launcher has exited")
