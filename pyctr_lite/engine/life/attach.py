"""The client side of a monitor: a connection that attaches to a container or waits for its end."""

from __future__ import annotations

import _signal
import _socket
import os
import select
import struct
import time

from pyctr_lite import jsonfile, linux
from pyctr_lite.engine.life import pump

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


PATIENCE = 10.0
"""Seconds that a monitor may take to follow a change of its container's networks: it takes milliseconds."""


class Attachment:
    """A connection to the monitor of one process (`pump` defines the packets). Closing it detaches.

    A signal must overtake input that is still queued. So it travels through a second connection, to the socket in
    `directory`, or directly to the process through `pidfd`, which is closed with the connection.
    """

    def __init__(self, sock: _socket.socket, directory: str = "", pidfd: int = -1) -> None:
        self.sock, self.directory, self.pidfd = sock, directory, pidfd
        self.waiting: list[bytes] = []
        """Packets for which the non-blocking socket had no room; `flush` tries again."""

    def fileno(self) -> int:
        """Return the socket's descriptor, for poll(2)."""
        return self.sock.fileno()

    def receive(self) -> tuple[str, bytes]:
        """Return a packet: ("1", stdout), ("2", stderr), ("X", the end as JSON); ("", b"") if the monitor died."""
        try:
            packet = self.sock.recv(pump.CHUNK + 1)
        except ConnectionResetError:
            # The monitor closed with packets of ours unread: the kernel reports that once, before its packets.
            packet = self.sock.recv(pump.CHUNK + 1)
        return packet[:1].decode(), packet[1:]

    def send_input(self, data: bytes) -> None:
        """Write bytes to the process's stdin."""
        self._send(b"0" + data)

    def end_input(self) -> None:
        """Close the process's stdin."""
        self._send(b"E")

    def resize(self, rows: int, columns: int) -> None:
        """Set the size of the process's terminal."""
        self._send(b"W" + struct.pack("HH", rows, columns))

    def signal(self, number: int) -> None:
        """Send the process a signal; do nothing if it has ended."""
        if self.pidfd >= 0:
            try:
                _signal.pidfd_send_signal(self.pidfd, number)
            except ProcessLookupError:
                pass
            return
        packet = b"S" + bytes([number])
        try:
            other = connect(self.directory, output=False) if self.directory else None
        except OSError:
            return  # the monitor is gone; its exit packet is already queued
        if other is None:
            self._send(packet)
        else:
            other._send(packet)
            other.close()

    def networks_changed(self, pidfd: int) -> bytes | None:
        """Let the monitor follow a change of the container's networks. Returns an error as JSON, b"" without one.

        Waits until the monitor has followed. `pidfd` is that of the container's first process: a monitor whose
        container has ended does not answer any more, and need not follow. Returns None if the monitor does not say
        that it has followed: one of an older version, started before an upgrade, ignores what it does not know.
        Then it sees the end of the input, and closes the connection. One that hangs has PATIENCE.
        """
        self._send(b"N")
        self.sock.shutdown(_socket.SHUT_WR)
        poller = select.poll()
        poller.register(self.sock, select.POLLIN)
        poller.register(pidfd, select.POLLIN)
        deadline = time.monotonic() + PATIENCE
        while (left := deadline - time.monotonic()) > 0:
            ready = {fd for fd, _ in poller.poll(left * 1000)}
            kind, data = self.receive() if self.sock.fileno() in ready else ("X", b"")
            if kind == "N":
                return data
            if pidfd in ready:
                return b""
            if not kind:
                break
        return None

    def wait(self) -> dict[str, Any] | None:
        """Wait for the end; return it as JSON, or None if the monitor died. Output before it is dropped."""
        while True:
            kind, data = self.receive()
            if kind == "X":
                end: dict[str, Any] = jsonfile.loads(data)
                return end
            if not kind:
                return None

    def detach(self) -> int:
        """Return the socket's descriptor, for another process, and close the rest."""
        fd = self.sock.detach()
        self.close()
        return fd

    def close(self) -> None:
        """Detach; the process keeps running."""
        self.sock.close()
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1

    def flush(self) -> None:
        """Send the waiting packets, as many as the socket accepts."""
        packet = b""
        try:
            while self.waiting:
                packet = self.waiting.pop(0)  # before the send: a signal handler that interrupts it may flush, too
                self.sock.send(packet)
        except BlockingIOError:
            self.waiting.insert(0, packet)
        except (BrokenPipeError, ConnectionResetError):
            self.waiting.clear()  # the monitor is gone; its exit packet is already queued

    def _send(self, packet: bytes) -> None:
        self.waiting.append(packet)
        self.flush()


def listen(directory: str) -> _socket.socket:
    """Return the listening socket of a monitor, `attach.sock` in the runtime state directory."""
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    with_short_path(directory, listener.bind)
    listener.listen(64)
    listener.setblocking(False)
    return listener


def connect(directory: str, *, output: bool) -> Attachment:
    """Connect to a monitor, with `output` to receive the container's output. Raises OSError without a monitor."""
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    try:
        with_short_path(directory, sock.connect)
        sock.send(b"Hattach" if output else b"Hwait")
    except BaseException:
        sock.close()
        raise
    return Attachment(sock, directory)


def with_short_path(directory: str, function: Any) -> None:
    """Call bind or connect with a path that fits the 108 bytes of sun_path, however deep the directory is."""
    with linux.closing(os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)) as fd:
        function(f"/proc/self/fd/{fd}/attach.sock")
