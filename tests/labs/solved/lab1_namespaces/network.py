"""Exercise 1.6, solved."""

from __future__ import annotations

import fcntl
import socket
import struct

from pyctr_lite.linux import explain

SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8913, 0x8914
IFF_UP = 0x1
IFREQ = "16sh22x"


def bring_up_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = bytearray(struct.pack(IFREQ, b"lo", 0))
        fcntl.ioctl(sock.fileno(), SIOCGIFFLAGS, request)
        name, flags = struct.unpack(IFREQ, request)
        request = bytearray(struct.pack(IFREQ, name, flags | IFF_UP))
        explain.step('ioctl(SIOCSIFFLAGS, "lo", IFF_UP)', fcntl.ioctl, sock.fileno(), SIOCSIFFLAGS, request)
