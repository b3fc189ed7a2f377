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
    # Any socket is a handle to its network namespace: an ioctl on it asks for the flags of an interface, or sets
    # them. `struct.pack(IFREQ, b"lo", flags)` makes a request, `struct.unpack` takes an answer apart.
    # - Setting replaces all flags at once. Where do the ones come from that should stay?
    # - The kernel writes its answer over the request: can it write into `bytes`?
    # - It may be up already. Which operator sets a bit without a look at it?
    # - Who closes the socket, also if an ioctl fails?
    # - Called through `explain.step(text, function, *args)` a step is shown by `--explain` and `make trace`.
    raise Todo("1.6")
