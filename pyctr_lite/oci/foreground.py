"""A program in the foreground: its input and output, the caller's signals, and its exit code.

Only for `run` and `exec` without `--detach`, which a person calls: an engine holds the descriptors itself. The
program gets pipes or a terminal of its own, never the caller's descriptors: the container could open the files
behind them for writing.
"""

from __future__ import annotations

import _signal
import errno
import os
import select
import stat
import struct

from pyctr_lite import linux
from pyctr_lite.runtime import console
from pyctr_lite.runtime.settings import Stdio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.runtime.launched import Launched

_CHUNK = 32 << 10
_NOT_FORWARDED = (
    *(_signal.SIGCHLD, _signal.SIGURG, _signal.SIGKILL, _signal.SIGSTOP, _signal.SIGPIPE),
    *(_signal.SIGSEGV, _signal.SIGBUS, _signal.SIGFPE, _signal.SIGILL, _signal.SIGTSTP, _signal.SIGTTIN),
    *(_signal.SIGTTOU, _signal.SIGCONT),
)
_PR_SET_CHILD_SUBREAPER = 36


class Foreground:
    """The caller's end of a program: made before the program, run after it has started."""

    def __init__(self, *, terminal: bool, process: dict[str, Any], subreaper: bool = True) -> None:
        if subreaper:
            linux.prctl(_PR_SET_CHILD_SUBREAPER, 1)
        self.terminal = terminal
        self._mode: list[Any] | None = None
        self._copies: dict[int, int] = {}
        """Where the data of each readable descriptor goes."""
        self._ends: tuple[int, int, int] = (-1, -1, -1)
        if terminal:
            given = process.get("consoleSize") or {}
            rows, columns = given.get("height", 0), given.get("width", 0)
            if not rows and os.isatty(0):
                size = os.get_terminal_size(0)
                rows, columns = size.lines, size.columns
            self.stdio = Stdio((-1, -1, -1), terminal=True, rows=rows, columns=columns)
            self.stdio.returns = os.isatty(1)  # as with runc, who reads the output gets it as it was written
            return
        pipes = [os.pipe2(os.O_CLOEXEC) for _ in range(3)]
        self._ends = (pipes[0][0], pipes[1][1], pipes[2][1])
        self._copies = {0: pipes[0][1], pipes[1][0]: 1, pipes[2][0]: 2}
        if _is_null(0):  # the program gets the container's own null device
            for fd in pipes[0]:
                os.close(fd)
            self._ends = (-1, *self._ends[1:])
            del self._copies[0]
        self.stdio = Stdio(self._ends)

    def run(self, launched: Launched) -> int:
        """Copy data and forward signals until the program has ended. Returns its exit code.

        128 + N if signal N has killed it.
        """
        for fd in self._ends:
            if fd >= 0:
                os.close(fd)
        if self.terminal:
            self._copies = {0: launched.console, launched.console: 1}
            self._set_raw()
        signals = linux.signalfd(set(range(1, 65)) - set(_NOT_FORWARDED) - {32, 33})
        try:
            _signal.pthread_sigmask(_signal.SIG_BLOCK, set(range(1, 65)) - set(_NOT_FORWARDED) - {32, 33})
            self._loop(launched, signals)
        finally:
            if self._mode is not None:
                from pyctr_lite.linux import rawmode

                rawmode.restore(0, self._mode)
        _, status = os.waitpid(launched.pid, 0)
        launched.close()
        return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)

    def _set_raw(self) -> None:
        """Make the caller's terminal raw; let it still write "\\n" as "\\r\\n" if the program's does not."""
        if os.isatty(0):
            from pyctr_lite.linux import rawmode

            self._mode = rawmode.mode_of(0)
            rawmode.set_raw(0, self._mode, keep_output=not self.stdio.returns)

    def _loop(self, launched: Launched, signals: int) -> None:
        poller = select.poll()
        for fd in (launched.pidfd, signals, *self._copies):
            poller.register(fd, select.POLLIN)
        ended = False
        while not ended or len(self._copies) > (0 in self._copies):
            ready = poller.poll(0 if ended and self.terminal else None)
            if ended and not ready:
                return  # of a terminal there is no end while a process inside has it open
            for fd, _ in ready:
                if fd == launched.pidfd:
                    ended = True
                    poller.unregister(fd)
                elif fd == signals:
                    self._forward(launched, struct.unpack_from("I", os.read(signals, 128))[0])
                elif not self._copy(fd):
                    poller.unregister(fd)
                    del self._copies[fd]

    def _copy(self, fd: int) -> bool:
        """Copy what is there to read. Returns False at the end of it, or if nobody reads it any more."""
        to = self._copies[fd]
        try:
            data = os.read(fd, _CHUNK)
            while data:
                data = data[os.write(to, data) :]
                if not data:
                    return True
        except OSError as error:
            if error.errno not in (errno.EIO, errno.EPIPE, errno.EBADF):
                raise
        if fd == 0 and not self.terminal:
            os.close(to)
        return False

    def _forward(self, launched: Launched, number: int) -> None:
        if number == _signal.SIGWINCH and self.terminal:
            if os.isatty(0):
                size = os.get_terminal_size(0)
                console.set_size(launched.console, size.lines, size.columns)
            return
        try:
            _signal.pidfd_send_signal(launched.pidfd, number)
        except ProcessLookupError:
            pass


def _is_null(fd: int) -> bool:
    try:
        found = os.fstat(fd)
    except OSError:
        return False
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == os.makedev(1, 3)
