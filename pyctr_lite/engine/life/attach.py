"""The client's side of a monitor: what is attached to a container, or waits for its end."""

from __future__ import annotations

import _signal
import _socket
import os
import struct

from pyctr_lite import jsonfile
from pyctr_lite.engine.life import pump

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Attachment:
    """A connection to the monitor of one process (the packets are in `pump`). To close it is to detach.

    A signal must get past input that waits to be taken: it goes to `directory`, where the monitor listens, or to
    `pidfd`, the process itself, which is closed with the connection.
    """

    def __init__(self, sock: _socket.socket, directory: str = "", pidfd: int = -1) -> None:
        self.sock, self.directory, self.pidfd = sock, directory, pidfd
        self.waiting: list[bytes] = []
        """What a socket that does not block could not take yet; `flush` tries again."""

    def fileno(self) -> int:
        """For poll."""
        return self.sock.fileno()

    def receive(self) -> tuple[str, bytes]:
        """The next packet: ("1", stdout), ("2", stderr), ("X", the end as JSON), ("", b"") if the monitor died."""
        try:
            packet = self.sock.recv(pump.CHUNK + 1)
        except ConnectionResetError:
            # It closed before it had read all of ours: the kernel says so once, before what it sent us.
            packet = self.sock.recv(pump.CHUNK + 1)
        return packet[:1].decode(), packet[1:]

    def send_input(self, data: bytes) -> None:
        """Give bytes to the process's stdin."""
        self._send(b"0" + data)

    def end_input(self) -> None:
        """Close the process's stdin."""
        self._send(b"E")

    def resize(self, rows: int, columns: int) -> None:
        """Tell the process's terminal its size."""
        self._send(b"W" + struct.pack("HH", rows, columns))

    def signal(self, number: int) -> None:
        """Send the process a signal; one that has ended needs none."""
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
            return  # its end is on the way
        if other is None:
            self._send(packet)
        else:
            other._send(packet)
            other.close()

    def wait(self) -> dict[str, Any] | None:
        """Wait for the end: its JSON, or None where the monitor died. Output on the way is dropped."""
        while True:
            kind, data = self.receive()
            if kind == "X":
                end: dict[str, Any] = jsonfile.loads(data)
                return end
            if not kind:
                return None

    def close(self) -> None:
        """Detach; the process goes on."""
        self.sock.close()
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1

    def flush(self) -> None:
        """Send what waits, as far as the monitor takes it."""
        packet = b""
        try:
            while self.waiting:
                packet = self.waiting.pop(0)  # first: a signal's handler may come in between, and flush
                self.sock.send(packet)
        except BlockingIOError:
            self.waiting.insert(0, packet)
        except (BrokenPipeError, ConnectionResetError):
            self.waiting.clear()  # its end is on the way

    def _send(self, packet: bytes) -> None:
        self.waiting.append(packet)
        self.flush()


def listen(directory: str) -> _socket.socket:
    """The socket at which a monitor takes clients, in the runtime state directory."""
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    with_short_path(directory, listener.bind)
    listener.listen(64)
    listener.setblocking(False)
    return listener


def connect(directory: str, *, output: bool) -> Attachment:
    """Connect to a monitor; with `output` to see what the container writes. Fails with OSError: no monitor."""
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    try:
        with_short_path(directory, sock.connect)
        sock.send(b"Hattach" if output else b"Hwait")
    except BaseException:
        sock.close()
        raise
    return Attachment(sock, directory)


def with_short_path(directory: str, function: Any) -> None:
    """Call bind or connect with a path that fits sun_path's 108 bytes, however deep the directory is."""
    fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        function(f"/proc/self/fd/{fd}/attach.sock")
    finally:
        os.close(fd)
