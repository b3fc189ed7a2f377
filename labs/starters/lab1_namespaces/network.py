"""The one interface of a new network namespace (exercise 1.6)."""

from __future__ import annotations

import fcntl
import socket
import struct

from labs.kit import Todo
from pyctr_lite.linux import explain

SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8913, 0x8914
"""ioctl(2) requests: get, and set, the flags of an interface."""
IFF_UP = 0x1
IFREQ = "16sh22x"
"""struct ifreq for `struct`: 16 bytes of name, the flags, and the rest of its 40 bytes."""


def bring_up_loopback() -> None:
    """Bring up `lo` in the caller's network namespace, so that 127.0.0.1 answers (netdevice(7))."""
    # 1. Open any socket, it is the handle by which an ioctl reaches the network namespace:
    #    `socket.socket(socket.AF_INET, socket.SOCK_DGRAM)`. In a `with` it is closed at the end.
    # 2. Ask for the flags that `lo` has now: `struct.pack(IFREQ, b"lo", 0)` is the question. The kernel writes
    #    its answer into the same memory, so put it into a `bytearray` and give that to
    #    `fcntl.ioctl(sock.fileno(), SIOCGIFFLAGS, request)`.
    # 3. Take the flags out of the answer (`struct.unpack`), add IFF_UP, and leave the others as they are.
    # 4. Give them back with SIOCSIFFLAGS. Called as `explain.step('ioctl(SIOCSIFFLAGS, "lo", IFF_UP)',
    #    fcntl.ioctl, sock.fileno(), SIOCSIFFLAGS, request)` the step is told by `--explain`.
    raise Todo("1.6")
