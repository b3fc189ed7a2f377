"""The proxy of a container's published ports: a process for what reaches the reserved sockets (see `published`).

The container's monitor watches one descriptor. When a connection or a datagram has come, a child is forked that
serves all sockets of the container until nothing has happened for some seconds; then the monitor watches again. So
a container that nobody calls in this way pays for no process.

The child trusts neither side. It holds only the sockets, has no privileges, and all that it can take is bounded
(`relay`, `datagrams`). It is killed if the monitor ends, or calls `close`.
"""

from __future__ import annotations

import _signal
import os
import select
import time

from pyctr_lite import linux
from pyctr_lite.networks import watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    Target = tuple[_socket.socket, str, str, int]
    """A reserved socket, its protocol, and the container's address and port. SCTP is held, but not served."""

_RETRY = 1.0
"""Seconds from the start of a child that failed to the start of the next one."""
_NOBODY = 65534
_MAX_REPORT = 4096
"""Bytes of a child's error report: a pipe takes them without a reader."""
_MAX_DATA = 128 << 20
"""Bytes of memory that the child can have."""


class Proxy:
    """The proxy of a container. It owns the sockets, and closes them.

    The monitor watches `fileno()`, calls `handle` when that is readable, and `close` when the container has ended,
    before its address is given to another one. `failed` gets the traceback of a child that failed.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        failed: Callable[[str], None] = lambda _: None,
        fork: Callable[[], int] = os.fork,
    ) -> None:
        self._targets, self._failed, self._fork = targets, failed, fork
        self._child, self._report, self._started = 0, -1, 0.0
        self._sockets = select.epoll()  # one to watch or not, instead of a thousand
        for sock, protocol, _, _ in targets:
            if protocol != "sctp":
                self._sockets.register(sock.fileno(), select.EPOLLIN)
        self._watch = watch.Watch(self._resume)
        self._watch.add(self._sockets.fileno(), watch.IN, self._start)

    def fileno(self) -> int:
        """Return the descriptor to watch: readable if there is something to do."""
        return self._watch.fileno()

    def handle(self) -> None:
        """Do what can be done without waiting: start a child, or reap the one that has ended."""
        self._watch.handle()

    def lead_to(self, address: str) -> None:
        """Lead the sockets to another address of the container. Connections to the old one end."""
        if any(old != address for _, _, old, _ in self._targets):
            self._targets = [(sock, protocol, address, port) for sock, protocol, _, port in self._targets]
            if self._child:
                os.kill(self._child, _signal.SIGKILL)
                self._reap()
                self._resume()

    def close(self) -> None:
        """Kill the child, and close all sockets: the ports are free."""
        if self._child:
            os.kill(self._child, _signal.SIGKILL)
            self._reap()
        self._watch.close()
        self._sockets.close()
        for sock, *_ in self._targets:
            sock.close()

    def _start(self, _: int) -> None:
        self._watch.change(self._sockets.fileno(), 0)
        self._started = time.monotonic()
        monitor = os.getpid()
        try:
            self._report, writer = os.pipe2(os.O_CLOEXEC)
        except OSError:  # no descriptor is left
            self._watch.wake_at(self._started + _RETRY)
            return
        try:
            self._child = self._fork()
            if self._child == 0:
                _run(self._targets, monitor, writer)
            self._watch.add(self._report, watch.IN, self._ended)
        except OSError:  # the host has too many processes, or root has no watch left
            if self._child:
                os.kill(self._child, _signal.SIGKILL)
                os.waitpid(self._child, 0)
                self._child = 0
            os.close(self._report)
            self._watch.wake_at(self._started + _RETRY)
        finally:
            os.close(writer)

    def _ended(self, _: int) -> None:
        """Reap the child that has closed its end of the pipe, and let the next connection start another one."""
        report = os.read(self._report, _MAX_REPORT)
        if self._reap():
            self._failed(report.decode(errors="replace"))
            self._watch.wake_at(max(self._started + _RETRY, time.monotonic()))
        else:
            self._resume()

    def _reap(self) -> int:
        """Wait for the child, which is about to end; return its status."""
        self._watch.remove(self._report)
        os.close(self._report)
        _, status = os.waitpid(self._child, 0)
        self._child, self._report = 0, -1
        return status

    def _resume(self) -> float:
        self._watch.change(self._sockets.fileno(), watch.IN)
        return watch.NEVER


def _run(targets: Sequence[Target], monitor: int, report: int) -> NoReturn:
    """Serve in the child, until there is nothing to do."""
    status = 1
    try:
        linux.prctl(linux.PR_SET_PDEATHSIG, _signal.SIGKILL)
        linux.close_all_but({report, *(sock.fileno() for sock, *_ in targets)})
        # Only here, so that its modules are not in the monitor's memory; before it may no longer read them.
        from pyctr_lite.networks import relay

        _drop_privileges(report + max(sock.fileno() for sock, *_ in targets) + relay.MAX_DESCRIPTORS)
        linux.prctl(linux.PR_SET_PDEATHSIG, _signal.SIGKILL)  # again: a change of the user resets it
        if os.getppid() == monitor:
            relay.serve(targets)
        status = 0
    except BaseException as error:
        import traceback

        os.write(report, "".join(traceback.format_exception(error)).encode(errors="replace")[-_MAX_REPORT:])
    finally:
        os._exit(status)


def _drop_privileges(descriptors: int) -> None:
    """Become a user without any right, with limits on descriptors and memory."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit, value in (
        (resource.RLIMIT_NOFILE, min(descriptors, hard)),
        (resource.RLIMIT_DATA, _MAX_DATA),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    if os.getuid() == 0:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    linux.capset(0, 0, 0)
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
