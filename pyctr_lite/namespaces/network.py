"""The loopback interface: a new network namespace has only `lo`, and it is down."""

from __future__ import annotations

import _socket
import fcntl
import struct

from pyctr_lite.linux import explain

_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1


def bring_up_loopback() -> None:
    """Bring up `lo` in the caller's network namespace, so that 127.0.0.1 answers (netdevice(7))."""
    sock = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        request = bytearray(struct.pack("16sh22x", b"lo", 0))
        fcntl.ioctl(sock.fileno(), _SIOCGIFFLAGS, request)
        _, flags = struct.unpack("16sh22x", request)
        request = bytearray(struct.pack("16sh22x", b"lo", flags | _IFF_UP))
        explain.step('ioctl(SIOCSIFFLAGS, "lo", IFF_UP)', fcntl.ioctl, sock.fileno(), _SIOCSIFFLAGS, request)
    finally:
        sock.close()
