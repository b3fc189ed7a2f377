"""The line between the launcher and the container's first process, until its program runs.

A pair of SOCK_SEQPACKET sockets: one message a packet, JSON, with descriptors by SCM_RIGHTS; a long one is
several packets, all but the last with a "+" before. An exec closes the child's end, which the parent sees as the
end of messages.
"""

from __future__ import annotations

import _socket
import os
import struct
import sys

from pyctr_lite import errors, jsonfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


_PIECE = 32 << 10
"""Bytes of a packet: a few of them fit into a socket's buffer."""


class Channel:
    """One end. Closed by `close`, or by the exec of its process."""

    def __init__(self, sock: _socket.socket) -> None:
        self.sock = sock

    def send(self, message: dict[str, Any], fds: tuple[int, ...] = ()) -> None:
        """Send one message. Fails with BrokenPipeError where the other side has gone."""
        rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack(f"{len(fds)}i", *fds))] if fds else []
        payload = jsonfile.dumps(message).encode(errors="surrogateescape")
        while len(payload) > _PIECE:
            self.sock.send(b"+" + payload[:_PIECE], _socket.MSG_NOSIGNAL)
            payload = payload[_PIECE:]
        self.sock.sendmsg([payload], rights, _socket.MSG_NOSIGNAL)

    def receive(self) -> tuple[dict[str, Any], list[int]] | None:
        """The next message and its descriptors, or None when the other side has closed."""
        payload, ancillary = self._receive()
        pieces = []
        while payload[:1] == b"+":
            pieces.append(payload[1:])
            payload, ancillary = self._receive()
        fds: list[int] = []
        for level, kind, data in ancillary:
            if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
                fds.extend(struct.unpack(f"{len(data) // 4}i", data))
        if not payload:
            return None
        return jsonfile.loads(b"".join([*pieces, payload])), fds

    def _receive(self) -> tuple[bytes, list[Any]]:
        arguments = (_PIECE + 1, _socket.CMSG_SPACE(16 * 4), _socket.MSG_CMSG_CLOEXEC)
        try:
            return self.sock.recvmsg(*arguments)[:2]
        except ConnectionResetError:  # the other side ended before it read all of ours: what it said is still here
            return self.sock.recvmsg(*arguments)[:2]

    def close(self) -> None:
        """Close this end; again is fine."""
        self.sock.close()


def close_all_but(keep: set[int]) -> None:
    """Close every descriptor of the caller from 3 on, but for these: a process that stays must hold no other's."""
    low = 3
    for fd in sorted(keep):
        if fd >= low:
            os.closerange(low, fd)
            low = fd + 1
    os.closerange(low, 65536)


def pair() -> tuple[Channel, Channel]:
    """Two connected ends, the parent's and the child's."""
    one, other = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    return Channel(one), Channel(other)


class ChildError(errors.PyctrError):
    """An error of the child before its program ran, raised in the parent as what it was.

    `errno` and `path` are those of the failed call (0 and "" for others), `trace` is where in our source.
    """

    def __init__(self, message: str, hint: str, number: int, path: str, trace: list[tuple[str, int, str]]) -> None:
        super().__init__(message, hint)
        self.errno, self.path, self.trace = number, path, trace


def describe_error(error: BaseException) -> dict[str, Any]:
    """An exception as a message. Source lines are left to the parent: here the files may be out of reach."""
    trace, traceback = [], error.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        trace.append([code.co_filename, traceback.tb_lineno, code.co_name])
        traceback = traceback.tb_next
    message: dict[str, Any] = {
        "type": "error",
        "class": type(error).__name__,
        "trace": trace,
        "errno": 0,
        "path": "",
    }
    if isinstance(error, ChildError):  # it comes from a child of ours, and goes on as what it was there
        message |= {"message": error.message, "errno": error.errno, "path": error.path, "trace": error.trace}
        message["where"] = error.hint
    elif isinstance(error, errors.PyctrError):
        message |= {"message": error.message, "hint": error.hint, "exit_code": error.exit_code}
    elif isinstance(error, OSError):
        path = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
        text = error.strerror or str(error)
        message |= {"message": f"{text}: {path}" if path else text, "errno": error.errno or 0, "path": path}
        message["where"] = "".join(getattr(error, "__notes__", ()))  # a learner's line, of the stage that joins
    else:
        message["message"] = f"{type(error).__name__}: {error}"
    return message


def raise_error(message: dict[str, Any]) -> None:
    """Raise in the parent what `describe_error` packed in the child."""
    kind = getattr(errors, message["class"], None)
    if kind is errors.ProgramError:
        raise errors.ProgramError(message["message"], message["hint"], message["exit_code"])
    if kind is not None:
        raise kind(message["message"], message["hint"])
    trace = [(file, line, function) for file, line, function in message["trace"]]
    while len(trace) > 1 and trace[-1][0].endswith("/linux/call.py"):
        trace.pop()  # all system calls fail there: who made this one says more
    from pyctr_lite import learner_frame

    where = message.get("where") or learner_frame.describe(trace)
    error = ChildError(message["message"], where, message["errno"], message["path"], trace)
    if trace:  # a note is shown with a traceback, so with --debug
        error.add_note(f"at {os.path.basename(trace[-1][0])}:{trace[-1][1]} in {trace[-1][2]}")
    raise error


def seal_imports() -> None:
    """From here on an import raises: once another root is entered, Python would run the image's files as root."""
    sys.meta_path.insert(0, _Seal())


class _Seal:
    """An import hook that refuses what is not loaded yet."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        raise ImportError(
            f"import of {name} after the container's root was entered: import it at the top of its module"
        )
