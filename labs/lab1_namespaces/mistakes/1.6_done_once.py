"""A note that it is done: the process may be in another network namespace by now."""

from __future__ import annotations

import fcntl
import socket
import struct

from pyctr_lite.linux import explain

SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8913, 0x8914
IFF_UP = 0x1
IFREQ = "16sh22x"

HINT = "what is kept from one call to the next?"

_done = []


def bring_up_loopback() -> None:
    if _done:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = bytearray(struct.pack(IFREQ, b"lo", 0))
        fcntl.ioctl(sock.fileno(), SIOCGIFFLAGS, request)
        name, flags = struct.unpack(IFREQ, request)
        request = bytearray(struct.pack(IFREQ, name, flags | IFF_UP))
        fcntl.ioctl(sock.fileno(), SIOCSIFFLAGS, request)
    _done.append(1)
