"""The pump: moves data between a process, its log and the attached clients until the process ends.

A client is one end of a SOCK_SEQPACKET socket. The first byte of a packet is its kind, the rest is data:

    from the client   0 input   E end of input   W rows columns   S signal number   N its networks have changed
    to the client     1 stdout  2 stderr         X {"ExitCode": …}   N followed, or the error as JSON
"""

from __future__ import annotations

import _signal
import _socket
import os
import select
import struct
import time

from pyctr_lite.runtime import console
from pyctr_lite.runtime.settings import Stdio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pyctr_lite.engine.log.writer import LogWriter

CHUNK = 32 * 1024
PIPE_MAX = 1 << 20
"""Maximum bytes in a pipe (/proc/sys/fs/pipe-max-size)."""

MAX_POLL = 2**31 - 1
"""Maximum timeout of poll(2), in milliseconds: 24 days. A later deadline takes several polls."""


class Client:
    """One attached client. While it is too slow to take its `pending` packets, no more output is read."""

    __slots__ = ("output", "pending", "sock")

    def __init__(self, sock: _socket.socket, *, output: bool = True) -> None:
        self.sock, self.output = sock, output
        self.pending: list[bytes] = []
        sock.setblocking(False)


class Pump:
    """The descriptors and clients of one process. A slow client slows the process, so memory stays bounded."""

    def __init__(
        self, pidfd: int, outputs: dict[int, str], stdin: int, log: LogWriter | None, *, terminal: int = -1
    ) -> None:
        self.pidfd, self.outputs, self.stdin, self.log, self.terminal = pidfd, outputs, stdin, log, terminal
        self.clients: list[Client] = []
        self.listener: _socket.socket | None = None
        self.stdin_once = False
        self._input = b""
        self._input_ended = False
        self.watched: dict[int, Callable[[], None]] = {}
        """Further descriptors, and the function to call when one is readable."""
        self.networks_changed: Callable[[], bytes] = bytes
        """Called if the networks have changed. Returns an error as JSON, or nothing."""
        self.deadline: float | None = None
        """When to call `at_deadline`, by time.monotonic()."""
        self.at_deadline: Callable[[], None] | None = None
        for fd in [*outputs, stdin, terminal]:
            if fd >= 0:
                os.set_blocking(fd, False)

    @classmethod
    def of_process(cls, pidfd: int, terminal: int, ends: tuple[int, int, int], log: LogWriter | None) -> Pump:
        """Return a pump for a process with a terminal, or (`terminal` -1) with the other `ends` of its pipes."""
        if terminal >= 0:
            return cls(pidfd, {terminal: "stdout"}, terminal, log, terminal=terminal)
        stdin, stdout, stderr = ends
        outputs = {fd: name for fd, name in ((stdout, "stdout"), (stderr, "stderr")) if fd >= 0}
        return cls(pidfd, outputs, stdin, log)

    def run(self) -> None:
        """Move data until the process has ended."""
        while True:
            ready = self._poll()
            for fd, events in ready.items():
                if fd == self.stdin and events & (select.POLLOUT | select.POLLERR):
                    self._write_input()
                if fd in self.outputs and events & ~select.POLLOUT:  # a terminal is both
                    self._read_output(fd)
                elif self.listener is not None and fd == self.listener.fileno():
                    self._accept()
                elif fd in self.watched:
                    self.watched[fd]()
            for client in list(self.clients):
                events = ready.get(client.sock.fileno(), 0)
                if events & select.POLLOUT:
                    self._flush(client)
                if events & (select.POLLIN | select.POLLHUP | select.POLLERR):
                    self._read_client(client)
            if self.pidfd in ready:
                break
            if self.deadline is not None and time.monotonic() >= self.deadline and self.at_deadline is not None:
                self.deadline = None
                self.at_deadline()

    def drain(self) -> None:
        """Read the remaining output: at most a full pipe, because other processes may still write to it."""
        for fd in list(self.outputs):
            for _ in range(PIPE_MAX // CHUNK + 1):
                if fd not in self.outputs or not self._read_output(fd):
                    break

    def report(self, text: str) -> None:
        """Show a line of the engine's own as standard error, to clients that see the output, and in the log."""
        data = f"pyctr_lite: {text}\n".encode(errors="backslashreplace")
        if self.log is not None:
            self.log.write("stderr", data)
        for client in [client for client in self.clients if client.output]:
            client.pending.append(b"2" + data)
            self._flush(client)

    def send_end(self, message: bytes) -> None:
        """Send the end to every client, as far as it takes data without waiting."""
        for client in list(self.clients):
            client.pending.append(b"X" + message)
            self._flush(client)

    def finish(self) -> None:
        """Disconnect every client; wait for slow clients until they have all output and the end."""
        while True:
            poller = select.poll()
            for client in list(self.clients):
                if client.pending:
                    poller.register(client.sock, select.POLLOUT)
                else:
                    self._drop(client)
            if not self.clients:
                return
            ready = {fd for fd, _ in poller.poll()}
            for client in [client for client in self.clients if client.sock.fileno() in ready]:
                self._flush(client)

    def close(self) -> None:
        """Close the process's descriptors."""
        for fd in {*self.outputs, self.stdin, self.terminal} - {-1}:
            os.close(fd)
        self.outputs.clear()
        self.stdin = self.terminal = -1

    def _poll(self) -> dict[int, int]:
        poller = select.poll()
        poller.register(self.pidfd, select.POLLIN)
        outputs = () if any(client.pending for client in self.clients) else tuple(self.outputs)
        for fd in outputs:
            poller.register(fd, select.POLLIN)
        for client in self.clients:
            reading = 0 if self._input and client.output else select.POLLIN
            poller.register(client.sock, reading | (select.POLLOUT if client.pending else 0))
        if self._input and self.stdin >= 0:
            poller.register(self.stdin, select.POLLOUT | (select.POLLIN if self.stdin in outputs else 0))
        if self.listener is not None:
            poller.register(self.listener, select.POLLIN)
        for fd in self.watched:
            poller.register(fd, select.POLLIN)
        timeout = None if self.deadline is None else max(0, self.deadline - time.monotonic()) * 1000 + 1
        return dict(poller.poll(None if timeout is None else min(timeout, MAX_POLL)))

    def _read_output(self, fd: int) -> bool:
        """Read one chunk of output; return False if there is none, or at the end."""
        stream = self.outputs[fd]
        try:
            data = os.read(fd, CHUNK)
        except BlockingIOError:
            return False
        except OSError:  # EIO: the last process has closed the terminal
            data = b""
        if not data:
            if fd != self.terminal:
                os.close(fd)
            del self.outputs[fd]
            return False
        if self.log is not None:
            self.log.write(stream, data)
        packet = (b"1" if stream == "stdout" else b"2") + data
        for client in list(self.clients):
            if client.output:
                client.pending.append(packet)
                self._flush(client)
        return True

    def _flush(self, client: Client) -> None:
        try:
            while client.pending:
                client.sock.send(client.pending[0])
                del client.pending[0]
        except BlockingIOError:
            pass
        except OSError:
            self._drop(client)

    def _drop(self, client: Client) -> None:
        if client in self.clients:
            self.clients.remove(client)
        client.sock.close()
        if client.output and self.stdin_once and not any(other.output for other in self.clients):
            self._end_input()

    def _read_client(self, client: Client) -> None:
        try:
            packet = client.sock.recv(CHUNK + 1)
        except BlockingIOError:
            return
        except OSError:
            packet = b""
        kind, data = packet[:1], packet[1:]
        if not packet:
            self._drop(client)
        elif kind == b"0" and self.stdin >= 0:
            self._input += data
            self._write_input()
        elif kind == b"E" and self.stdin_once:  # otherwise stdin stays open for the next client
            self._end_input()
        elif kind == b"W" and self.terminal >= 0:
            console.set_size(self.terminal, *struct.unpack("HH", data))
        elif kind == b"S":
            try:
                _signal.pidfd_send_signal(self.pidfd, data[0])
            except ProcessLookupError:
                pass
        elif kind == b"N":
            client.pending.append(b"N" + self.networks_changed())
            self._flush(client)
        elif kind == b"H":
            client.output = data == b"attach"

    def _write_input(self) -> None:
        try:
            self._input = self._input[os.write(self.stdin, self._input) :]
        except BlockingIOError:
            return
        except OSError:  # EPIPE: no process reads the pipe
            self._input, self._input_ended = b"", True
        if not self._input and self._input_ended:
            self._close_stdin()

    def _end_input(self) -> None:
        self._input_ended = True
        if not self._input:
            self._close_stdin()

    def _close_stdin(self) -> None:
        if self.stdin >= 0 and self.stdin != self.terminal:
            os.close(self.stdin)
            self.stdin = -1

    def _accept(self) -> None:
        assert self.listener is not None
        fd, _ = self.listener._accept()  # type: ignore[attr-defined]
        self.clients.append(Client(_socket.socket(fileno=fd), output=False))


def make_stdio(tty: bool, stdin: bool, size: tuple[int, int]) -> tuple[Stdio, tuple[int, int, int]]:
    """Make the descriptors for a process, and the pump's ends of them (-1: the process gets /dev/null)."""
    if tty:
        return Stdio((-1, -1, -1), terminal=True, rows=size[0], columns=size[1]), (-1, -1, -1)
    child_in, pump_in = os.pipe2(os.O_CLOEXEC) if stdin else (-1, -1)
    pump_out, child_out = os.pipe2(os.O_CLOEXEC)
    pump_err, child_err = os.pipe2(os.O_CLOEXEC)
    return Stdio((child_in, child_out, child_err)), (pump_in, pump_out, pump_err)


def close_stdio(stdio: Stdio) -> None:
    """Close the process's ends in this process."""
    for fd in stdio.fds:
        if fd >= 0:
            os.close(fd)


def exit_code(status: int) -> int:
    """Return the exit code for a status of waitpid(2): 128 + n for the signal n."""
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code
