"""A seccomp agent: it receives listeners and answers their questions (seccomp_unotify(2))."""

from __future__ import annotations

import fcntl
import json
import os
import select
import socket
import struct
import threading
from pathlib import Path
from typing import Any

_RECV, _SEND = 0xC0502100, 0xC0182101  # SECCOMP_IOCTL_NOTIF_RECV, _SEND (include/uapi/linux/seccomp.h)
_CONTINUE = 1  # SECCOMP_USER_NOTIF_FLAG_CONTINUE
_MKDIR = {"x86_64": 83}.get(os.uname().machine, -1)
_MKDIRAT = {"x86_64": 258, "aarch64": 34}[os.uname().machine]


class Agent:
    """Serves on a socket until `close`. A mkdir of `x` makes `x-SUFFIX`, any other call goes on as it is.

    `received` are the container process states; `asked` counts the questions.
    """

    def __init__(self, path: Path, suffix: str = "bar") -> None:
        self.path, self.suffix = str(path), suffix
        self.received: list[dict[str, Any]] = []
        self.asked = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(self.path)
        self._socket.listen()
        self._stop, self._stopper = os.pipe()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        os.close(self._stopper)
        self._thread.join()
        self._socket.close()
        os.close(self._stop)

    def _serve(self) -> None:
        poller = select.poll()
        poller.register(self._stop, select.POLLHUP)
        poller.register(self._socket, select.POLLIN)
        listeners = set()
        while True:
            for fd, events in poller.poll():
                if fd == self._stop:
                    for listener in listeners:
                        os.close(listener)
                    return
                if fd == self._socket.fileno():
                    listener = self._accept()
                    listeners.add(listener)
                    poller.register(listener, select.POLLIN)
                elif events & select.POLLIN:
                    self._answer(fd)
                else:  # POLLHUP: no process has this filter any more
                    poller.unregister(fd)
                    listeners.discard(fd)
                    os.close(fd)

    def _accept(self) -> int:
        connection, _ = self._socket.accept()
        with connection:
            data, fds, _, _ = socket.recv_fds(connection, 65536, 1)
            while more := connection.recv(65536):
                data += more
        self.received.append(json.loads(data))
        (fd,) = fds
        return fd

    def _answer(self, listener: int) -> None:
        notification = bytearray(80)
        try:
            fcntl.ioctl(listener, _RECV, notification)
        except FileNotFoundError:
            return  # the process was killed meanwhile
        id, pid, _, number, _, _, *arguments = struct.unpack("=QIIiIQ6Q", notification)
        self.asked += 1
        flags = _CONTINUE
        if number in (_MKDIR, _MKDIRAT):
            with open(f"/proc/{pid}/mem", "rb") as memory:
                memory.seek(arguments[0 if number == _MKDIR else 1])
                name = os.fsdecode(memory.read(200).split(b"\0")[0])
            os.mkdir(f"/proc/{pid}/root{name}-{self.suffix}")
            flags = 0
        fcntl.ioctl(listener, _SEND, struct.pack("=QqiI", id, 0, 0, flags))
