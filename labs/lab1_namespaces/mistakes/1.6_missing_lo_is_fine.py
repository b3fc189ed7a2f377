"""A missing interface is no error."""

from __future__ import annotations

import errno
import fcntl
import socket
import struct

from pyctr_lite.linux import explain

SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8913, 0x8914
IFF_UP = 0x1
IFREQ = "16sh22x"

HINT = "with ENODEV, as it may"


def bring_up_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            request = bytearray(struct.pack(IFREQ, b"lo", 0))
            fcntl.ioctl(sock.fileno(), SIOCGIFFLAGS, request)
            name, flags = struct.unpack(IFREQ, request)
            request = bytearray(struct.pack(IFREQ, name, flags | IFF_UP))
            fcntl.ioctl(sock.fileno(), SIOCSIFFLAGS, request)
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
