"""The sockets of a container's DNS server, in the container's network namespace, and the rules that lead to them.

A program in the container asks 127.0.0.11, port 53. That port stays free, because the container may have a DNS
server of its own at 0.0.0.0:53: our sockets have ports chosen by the kernel, and rules replace the destination.
Connection tracking sets the source of an answer back, so the program sees 127.0.0.11:53.
"""

from __future__ import annotations

import _socket
import os
import struct

from pyctr_lite import linux
from pyctr_lite.linux import netlink
from pyctr_lite.networks import forwarder, nft

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ADDRESS, PORT = "127.0.0.11", 53
TABLE = "pyctr_lite_dns"
"""The table in the container's network namespace."""
_OUTPUT, _DSTNAT = 3, -100
_IP_FREEBIND = 15
_BACKLOG = 64


class Listener:
    """The sockets `udp` and `tcp` of a `Resolver`, which closes them, and the namespace that they are in."""

    __slots__ = ("_namespace", "tcp", "udp")

    def __init__(self, namespace: int, udp: _socket.socket, tcp: _socket.socket) -> None:
        self._namespace, self.udp, self.tcp = namespace, udp, tcp

    def open_inside(self, family: int, kind: int) -> _socket.socket:
        """Open a socket in the namespace. Only for a process with one thread."""
        return _in_namespace(self._namespace, lambda: forwarder.open_socket(family, kind))  # type: ignore[return-value]

    def close(self) -> None:
        """Let go of the namespace. Idempotent."""
        if self._namespace >= 0:
            os.close(self._namespace)
            self._namespace = -1


def listen(pid: int) -> Listener:
    """Listen in the network namespace of a process. Rules there lead 127.0.0.11, port 53, to the sockets.

    The caller enters the namespace and comes back, so it must have one thread. Rules of an earlier call are
    replaced. Fails with EPERM without CAP_SYS_ADMIN, ESRCH or ENOENT if the process has ended.
    """
    namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    opened: list[_socket.socket] = []
    try:
        _in_namespace(namespace, lambda: _set_up(opened))
    except BaseException:
        for sock in opened:
            sock.close()
        os.close(namespace)
        raise
    return Listener(namespace, *opened)


def _in_namespace(namespace: int, function: Callable[[], object]) -> object:
    with linux.closing(os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)) as own:
        linux.setns(namespace, linux.CLONE_NEWNET)
        try:
            return function()
        finally:
            linux.setns(own, linux.CLONE_NEWNET)


def _set_up(opened: list[_socket.socket]) -> None:
    ports = []
    for kind in (_socket.SOCK_DGRAM, _socket.SOCK_STREAM):
        sock = forwarder.open_socket(_socket.AF_INET, kind)
        opened.append(sock)
        sock.setsockopt(_socket.IPPROTO_IP, _IP_FREEBIND, 1)  # `lo` may still be down
        sock.bind((ADDRESS, 0))
        ports.append(sock.getsockname()[1])
    opened[1].listen(_BACKLOG)
    with netlink.Socket(netlink.NETFILTER) as filter:
        try:
            nft.run(filter, _table(*ports))
        except FileExistsError:
            nft.run(filter, [nft.delete_table(TABLE), *_table(*ports)])


def _table(udp_port: int, tcp_port: int) -> list[nft.Request]:
    requests = [nft.add_table(TABLE), nft.add_chain(TABLE, "output", "nat", _OUTPUT, _DSTNAT)]
    for name, protocol, port in (("udp", _socket.IPPROTO_UDP, udp_port), ("tcp", _socket.IPPROTO_TCP, tcp_port)):
        address = _socket.inet_aton(ADDRESS)
        requests.append(
            nft.add_rule(
                *(TABLE, "output", f"ip daddr {ADDRESS} {name} dport {PORT} dnat ip to {ADDRESS}:{port}"),
                *(nft.meta(nft.NFPROTO), nft.compare(bytes((_socket.AF_INET,)))),
                *(nft.network(16, 4), nft.compare(address)),
                *(nft.meta(nft.L4PROTO), nft.compare(bytes((protocol,)))),
                *(nft.transport(2, 2), nft.compare(struct.pack(">H", PORT))),
                *(nft.load(address), nft.load(struct.pack(">H", port), nft.REGISTER + 1)),
                nft.destination_nat(_socket.AF_INET, nft.REGISTER + 1),
            )
        )
    return requests
