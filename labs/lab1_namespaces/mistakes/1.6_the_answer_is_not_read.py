"""The question is bytes, which the kernel cannot write to; its answer is the value that ioctl returns."""

from __future__ import annotations

import fcntl
import socket
import struct

SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8913, 0x8914
IFF_UP = 0x1
IFREQ = "16sh22x"

HINT = "did the kernel's answer reach you?"


def bring_up_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack(IFREQ, b"lo", 0)
        fcntl.ioctl(sock.fileno(), SIOCGIFFLAGS, request)
        _, flags = struct.unpack(IFREQ, request)
        fcntl.ioctl(sock.fileno(), SIOCSIFFLAGS, struct.pack(IFREQ, b"lo", flags | IFF_UP))
