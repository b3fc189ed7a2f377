"""The descriptor is never closed: Python does not know that it is one."""

from __future__ import annotations

import fcntl
import socket
import struct

SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8913, 0x8914
IFF_UP = 0x1
IFREQ = "16sh22x"

HINT = "who closes what you open?"


def bring_up_loopback() -> None:
    fd = socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach()
    request = bytearray(struct.pack(IFREQ, b"lo", 0))
    fcntl.ioctl(fd, SIOCGIFFLAGS, request)
    _, flags = struct.unpack(IFREQ, request)
    fcntl.ioctl(fd, SIOCSIFFLAGS, bytearray(struct.pack(IFREQ, b"lo", flags | IFF_UP)))
