"""The flags come as a signed number: a negative one is taken for an error."""

from __future__ import annotations

import fcntl
import socket
import struct

HINT = "Which flags do you give back"


SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8913, 0x8914
IFREQ = "16sh22x"


def bring_up_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = bytearray(struct.pack(IFREQ, b"lo", 0))
        fcntl.ioctl(sock.fileno(), SIOCGIFFLAGS, request)
        flags = max(0, struct.unpack(IFREQ, request)[1])
        fcntl.ioctl(sock.fileno(), SIOCSIFFLAGS, bytearray(struct.pack(IFREQ, b"lo", flags | 1)))
