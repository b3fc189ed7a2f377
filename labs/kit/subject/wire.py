"""Messages over a stream socket: a length, the bytes, and file descriptors beside them (unix(7), SCM_RIGHTS)."""

from __future__ import annotations

import select
import socket
import struct
import time

_HEAD = struct.Struct("!II")
MAX_BYTES = 64 << 20
MAX_FDS = 64


class Closed(EOFError):
    """The other side has closed the socket, as its end does."""


class TimedOut(TimeoutError):
    """The other side did not answer in time."""


def send(sock: socket.socket, data: bytes, fds: list[int] | None = None) -> None:
    """Send one message. Raises BrokenPipeError if nobody reads."""
    socket.send_fds(sock, [_HEAD.pack(len(data), len(fds or ()))], fds or [], socket.MSG_NOSIGNAL)
    view = memoryview(data)
    while view:
        view = view[sock.send(view, socket.MSG_NOSIGNAL) :]


def receive(sock: socket.socket, deadline: float | None = None) -> tuple[bytes, list[int]]:
    """Return the next message and its descriptors, which are close-on-exec.

    `deadline` is a time of time.monotonic(). Raises Closed, TimedOut, and ValueError for a message that is longer
    than MAX_BYTES.
    """
    wait(sock, deadline)
    head, fds, _, _ = socket.recv_fds(sock, _HEAD.size, MAX_FDS, socket.MSG_CMSG_CLOEXEC)
    while 0 < len(head) < _HEAD.size:
        head += _some(sock, _HEAD.size - len(head), deadline)
    if not head:
        raise Closed
    length, count = _HEAD.unpack(head)
    if length > MAX_BYTES or count != len(fds):
        raise ValueError("a message that is too long, or without its descriptors")
    data = bytearray()
    while len(data) < length:
        data += _some(sock, length - len(data), deadline)
    return bytes(data), fds


def _some(sock: socket.socket, size: int, deadline: float | None) -> bytes:
    wait(sock, deadline)
    data = sock.recv(min(size, 1 << 20))
    if not data:
        raise Closed
    return data


def wait(sock: socket.socket, deadline: float | None) -> None:
    """Wait until there is something to read. Raises TimedOut."""
    if deadline is not None and not select.select([sock], [], [], max(0, deadline - time.monotonic()))[0]:
        raise TimedOut
