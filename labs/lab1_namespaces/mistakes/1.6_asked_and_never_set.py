"""The flags are asked for and changed, and never given back."""

from __future__ import annotations

import fcntl
import socket
import struct

SIOCGIFFLAGS = 0x8913
IFREQ = "16sh22x"

HINT = "Which call sets them?"


def bring_up_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = bytearray(struct.pack(IFREQ, b"lo", 0))
        fcntl.ioctl(sock.fileno(), SIOCGIFFLAGS, request)
        _, flags = struct.unpack(IFREQ, request)
        struct.pack_into(IFREQ, request, 0, b"lo", flags | 0x1)
