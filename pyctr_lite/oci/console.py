"""Descriptors for an engine: the master of a terminal, or a pidfd, sent over a UNIX socket it listens on."""

from __future__ import annotations

import _socket
import os
import struct

from pyctr_lite.errors import InvalidArgument, PyctrError
from pyctr_lite.linux.scoped import closing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def check(path: str, *, wanted: bool, foreground: bool) -> None:
    """Check the socket for a terminal's master. Raises InvalidArgument if it is missing, or not needed."""
    if wanted and not foreground and not path:
        raise InvalidArgument(
            "cannot allocate tty without a console socket, unless the program runs in the foreground",
            "give --console-socket",
        )
    if path and not wanted:
        raise InvalidArgument("cannot use console socket without a tty", "set process.terminal")
    if path and foreground:
        raise InvalidArgument("cannot use console socket in the foreground", "give --detach")


def size(process: dict[str, Any]) -> dict[str, int]:
    """Return the terminal's size of a `process` object (`consoleSize`), as arguments of `Stdio`."""
    given = process.get("consoleSize") or {}
    return {"rows": given.get("height", 0), "columns": given.get("width", 0)}


def send(path: str, fd: int, name: str = "") -> None:
    """Send a descriptor with its name (SCM_RIGHTS, unix(7)). Raises PyctrError if nobody listens on the socket."""
    name = name or os.readlink(f"/proc/self/fd/{fd}")
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        try:
            sock.connect(path)
        except OSError as error:
            if len(os.fsencode(path)) < 108:
                raise PyctrError(f"cannot connect to the socket {path}: {error.strerror}") from None
            # A path of a socket has at most 107 bytes (unix(7)); this one is shorter.
            with closing(os.open(path, os.O_PATH | os.O_CLOEXEC)) as found:
                sock.connect(f"/proc/self/fd/{found}")
        sock.sendmsg([name.encode()], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("i", fd))])
    except OSError as error:
        raise PyctrError(f"cannot send a descriptor to {path}: {error.strerror}") from None
    finally:
        sock.close()
