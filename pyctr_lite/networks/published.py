"""Ports of the host, held by sockets: no server of the host can take a published port, and none is shadowed.

IPv4 connections never reach these sockets, because rules lead them to the container (`rules.publish`). What does
reach them, `proxy` hands on: IPv6 for a container without an IPv6 address, and ::1, which no rule leads elsewhere.
"""

from __future__ import annotations

import _socket
import errno
import os

from pyctr_lite.errors import Conflict, InvalidArgument

_BACKLOG = 128
_IPPROTO_SCTP = 132
_KINDS = {
    "tcp": (_socket.SOCK_STREAM, _socket.IPPROTO_TCP),
    "udp": (_socket.SOCK_DGRAM, _socket.IPPROTO_UDP),
    "sctp": (_socket.SOCK_STREAM, _IPPROTO_SCTP),
}
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def reserve(protocol: str, host_ip: str, first: int, last: int) -> tuple[_socket.socket | None, int]:
    """Hold the first free port of the host from `first` to `last`, or any if both are 0. Return socket and port.

    `host_ip` "" means all addresses, of IPv6, too, if the kernel has it. A port whose connections are in TIME_WAIT
    is free. The socket does not block; for SCTP it is None if the kernel lacks SCTP, and the port is not held.

    Raises Conflict if no port is free, InvalidArgument if the address is not one of the host's, OSError if the
    process has no descriptor left (EMFILE; each socket takes one).
    """
    for port in range(first, last + 1):
        try:
            return _open(protocol, host_ip, port)
        except OSError as error:
            if error.errno in _EXHAUSTED:
                raise
            if error.errno != errno.EADDRINUSE or port == last:
                raise _refusal(protocol, host_ip, first, last, error) from None
    raise ValueError(f"{first} to {last} is an empty range")


def shown(host_ip: str, port: int | str) -> str:
    """Return an address and a port as Docker shows them: 0.0.0.0:80, [::1]:80."""
    return f"[{host_ip}]:{port}" if ":" in host_ip else f"{host_ip or '0.0.0.0'}:{port}"


def _open(protocol: str, host_ip: str, port: int) -> tuple[_socket.socket | None, int]:
    try:
        sock, address = _socket_for(protocol, host_ip)
    except OSError as error:
        if protocol == "sctp" and port and error.errno == errno.EPROTONOSUPPORT:
            return None, port
        raise
    try:
        if protocol == "tcp" and port:  # without it, two sockets of UDP with it could not have one port
            sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        if protocol == "tcp":
            sock.listen(_BACKLOG)  # fails if another socket listens: with SO_REUSEADDR bind(2) alone does not
        return sock, sock.getsockname()[1]
    except BaseException:
        sock.close()
        raise


def _socket_for(protocol: str, host_ip: str) -> tuple[_socket.socket, str]:
    """Open a socket, and return the address that it has to be bound to."""
    kind, number = _KINDS[protocol]
    kind |= _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK
    if host_ip and ":" not in host_ip:
        return _socket.socket(_socket.AF_INET, kind, number), host_ip
    try:
        sock = _socket.socket(_socket.AF_INET6, kind, number)
    except OSError as error:
        if host_ip or error.errno != errno.EAFNOSUPPORT:
            raise
        return _socket.socket(_socket.AF_INET, kind, number), "0.0.0.0"
    sock.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1 if host_ip else 0)
    return sock, host_ip or "::"


def _refusal(protocol: str, host_ip: str, first: int, last: int, error: OSError) -> Conflict | InvalidArgument:
    ports = str(first) if first == last else f"{first}-{last}"
    reason = os.strerror(error.errno or 0)
    message = f"failed to bind host port {shown(host_ip, ports)}/{protocol}: {reason[:1].lower()}{reason[1:]}"
    if error.errno == errno.EADDRINUSE:
        option = {"tcp": "t", "udp": "u", "sctp": "S"}[protocol]
        return Conflict(message, f"choose another port; `ss -ln{option}p` and `pyctr_lite ps` show who has it")
    return InvalidArgument(message, "`ip address` lists this machine's addresses")
