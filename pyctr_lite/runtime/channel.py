"""The channel between a process and the child that it forks: messages, descriptors, and the child's error.

A pair of SOCK_SEQPACKET sockets. A message is one packet of JSON, with descriptors by SCM_RIGHTS; a long message
is several packets, and all but the last start with "+". An exec closes the child's end, which the parent sees as
the end of the messages.
"""

from __future__ import annotations

import _imp
import _socket
import os
import struct
import sys

from pyctr_lite import errors, jsonfile, learner_frame, linux

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


_PIECE = 32 << 10
"""Maximum bytes per packet: a socket's buffer holds a few packets of this size."""


class Channel:
    """One end of a channel. Closed by `close`, or by an exec in its process."""

    def __init__(self, sock: _socket.socket) -> None:
        self.sock = sock

    def send(self, message: dict[str, Any], fds: tuple[int, ...] = ()) -> None:
        """Send one message. Raises BrokenPipeError if the other end is closed."""
        rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack(f"{len(fds)}i", *fds))] if fds else []
        payload = jsonfile.dumps(message).encode(errors="surrogateescape")
        while len(payload) > _PIECE:
            self.sock.send(b"+" + payload[:_PIECE], _socket.MSG_NOSIGNAL)
            payload = payload[_PIECE:]
        self.sock.sendmsg([payload], rights, _socket.MSG_NOSIGNAL)

    def write(self, message: dict[str, Any]) -> None:
        """Send a short message by write(2), the one call that a seccomp listener is never asked about."""
        os.write(self.sock.fileno(), jsonfile.dumps(message).encode())

    def receive(self) -> tuple[dict[str, Any], list[int]] | None:
        """Return the next message and its descriptors, or None if the other end is closed."""
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
        except ConnectionResetError:  # the other end closed with messages unread; its own are still in our queue
            return self.sock.recvmsg(*arguments)[:2]

    def close(self) -> None:
        """Close this end. Idempotent."""
        self.sock.close()


def in_child(act: Callable[[], tuple[int, ...]], name: str) -> list[int]:
    """Fork a child that calls `act`; return the descriptors that `act` returned, duplicated into the caller.

    For steps that must not change the caller: entering a namespace, loading a large library. Raises the error of
    `act` as `raise_error` does, and PyctrError if the child, described by `name`, was killed. The child is reaped.
    Only for a process with one thread: a lock that another thread holds at the fork stays locked in the child.
    """
    ours, theirs = pair()
    pid = os.fork()
    if pid == 0:
        try:
            try:
                theirs.send({"type": "done"}, act())
            except BaseException as error:
                theirs.send(describe_error(error))
        finally:
            os._exit(0)
    theirs.close()
    try:
        received = ours.receive()
    finally:
        ours.close()
        os.waitpid(pid, 0)
    if received is None:
        raise errors.PyctrError(f"{name} was killed", "out of memory?")
    message, fds = received
    if message["type"] == "error":
        raise_error(message)
    return fds


def pair() -> tuple[Channel, Channel]:
    """Return two connected ends: the parent's and the child's."""
    one, other = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    return Channel(one), Channel(other)


class ChildError(errors.PyctrError):
    """An error that a child met before its program ran, raised in the parent.

    `errno` and `path` are those of the failed call (0 and "" for other errors), `trace` lists file, line and
    function of each frame in the child, innermost last.
    """

    def __init__(self, message: str, hint: str, number: int, path: str, trace: list[tuple[str, int, str]]) -> None:
        super().__init__(message, hint)
        self.errno, self.path, self.trace = number, path, trace


def describe_error(error: BaseException) -> dict[str, Any]:
    """Return an exception as a message. `raise_error` adds the source line."""
    message: dict[str, Any] = {
        "type": "error",
        "class": type(error).__name__,
        "trace": learner_frame.frames(error.__traceback__),
        "errno": 0,
        "path": "",
    }
    if isinstance(error, ChildError):  # from a child of this process: pass it on unchanged
        message |= {"message": error.message, "errno": error.errno, "path": error.path, "trace": error.trace}
        message["where"] = error.hint
    elif isinstance(error, errors.PyctrError):
        message |= {"message": error.message, "hint": error.hint, "exit_code": error.exit_code}
    elif isinstance(error, OSError):
        path = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
        text = error.strerror or str(error)
        message |= {"message": f"{text}: {path}" if path else text, "errno": error.errno or 0, "path": path}
        message["where"] = "".join(getattr(error, "__notes__", ()))  # a learner's line (`namespaces.create`)
    else:
        message["message"] = f"{type(error).__name__}: {error}"
    return message


def raise_error(message: dict[str, Any]) -> None:
    """Raise the error that `describe_error` has put into a message."""
    kind = getattr(errors, message["class"], None)
    if kind is errors.ProgramError:
        raise errors.ProgramError(message["message"], message["hint"], message["exit_code"])
    if kind is not None:
        raise kind(message["message"], message["hint"])
    trace = [(file, line, function) for file, line, function in message["trace"]]
    while len(trace) > 1 and trace[-1][0].endswith("/linux/call.py"):
        trace.pop()  # every system call fails in that file; its caller is more useful
    where = message.get("where") or learner_frame.describe(trace)
    error = ChildError(message["message"], where, message["errno"], message["path"], trace)
    if trace:  # a note appears only with a traceback, that is with --debug
        error.add_note(f"at {os.path.basename(trace[-1][0])}:{trace[-1][1]} in {trace[-1][2]}")
    raise error


def seal_imports() -> None:
    """Make every further import of a file fail: in the container's root it would execute a file of the image.

    Modules that are a part of the interpreter stay importable (`light_os` may need one).
    """
    linux.load()
    sys.meta_path.insert(0, _Seal())


class _Seal:
    """An import hook that refuses every module that is neither loaded yet nor a part of the interpreter."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name not in sys.builtin_module_names and not _imp.is_frozen(name):
            raise ImportError(
                f"import of {name} after the container's root was entered: import it at the top of its module"
            )
