"""The listener of a seccomp filter: how its descriptor reaches the agent that answers its questions.

The kernel gives the descriptor to the process that installs the filter. From then on the agent may be asked about
each of its calls but write(2), so by write(2) the process announces only the descriptor's number; its launcher
copies the descriptor with pidfd_getfd(2) and sends it. Imported only for a filter with a listener.
Source: OCI runtime spec, config-linux.md, "Seccomp" and "The Container Process State"; seccomp_unotify(2).
"""

from __future__ import annotations

import _socket
import os
import struct

from pyctr_lite import jsonfile, linux
from pyctr_lite.errors import PyctrError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pyctr_lite.runtime import seccomp


class Delivery:
    """The listener of one process, on its way from the announcement to the agent.

    `state` is the container's state (runtime.md, "State"). An announcement comes from the process itself, or, if
    `forks`, from its parent, which is not the container's process: then `send` waits for `born`.
    """

    def __init__(self, filter: seccomp.Filter, state: dict[str, Any]) -> None:
        self._filter, self._state = filter, state
        self._fd = -1

    def announced(self, pidfd: int, number: int, pid: int, *, forks: bool) -> None:
        """Copy the descriptor `number` of a process; send it to the agent, unless the process `forks` first."""
        try:
            self._fd = linux.pidfd_getfd(pidfd, number)
        except OSError as error:
            raise PyctrError(f"seccomp: cannot take the listener from the process: {error.strerror}") from None
        if not forks:
            self.born(pid)

    def born(self, pid: int) -> None:
        """Send an announced descriptor to the agent for the process `pid`. Does nothing without one."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            with linux.closing(fd):
                send(self._filter.listener_path, fd, self.process_state(pid))

    def process_state(self, pid: int) -> dict[str, Any]:
        """Return the container process state for the process `pid`."""
        found = {
            "ociVersion": self._state.get("ociVersion", "1.0.2"),
            "fds": ["seccompFd"],
            "pid": pid,
            "state": {**self._state, "pid": self._state.get("pid") or pid},
        }
        if self._filter.listener_metadata:
            found["metadata"] = self._filter.listener_metadata
        return found


def send(path: str, fd: int, process_state: dict[str, Any]) -> None:
    """Send a container process state and its descriptor to an agent's socket, one per connection.

    Raises PyctrError if the agent cannot be reached.
    """
    payload = jsonfile.dumps(process_state).encode(errors="surrogateescape")
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        sock.connect(path)
        rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("i", fd))]
        sent = sock.sendmsg([payload], rights, _socket.MSG_NOSIGNAL)
        if sent < len(payload):  # else the agent may have closed its end by now
            sock.sendall(payload[sent:], _socket.MSG_NOSIGNAL)
    except OSError as error:
        text = os.strerror(error.errno or 0).lower()
        raise PyctrError(f"failed to connect with seccomp agent {path}: {text}", "does the agent run?") from None
    finally:
        sock.close()
