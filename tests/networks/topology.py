"""Network namespaces of a test's own: a host with bridges, containers, and a world behind the host's uplink."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from pyctr_lite import linux
from pyctr_lite.linux import netlink
from pyctr_lite.networks import link
from tests.conftest import SLOWNESS

Result = TypeVar("Result")


class Namespace:
    """A network namespace, held by a process that sleeps in it."""

    def __init__(self) -> None:
        reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                linux.unshare(linux.CLONE_NEWNET)
                os.write(writer, b"1")
                signal.pause()
            finally:
                os._exit(0)
        os.close(writer)
        assert os.read(reader, 1) == b"1"
        os.close(reader)
        with self.route() as sock:
            link.set_up(sock, link.index(sock, "lo"))

    @classmethod
    def of(cls, pid: int) -> Namespace:
        """Return the namespace of a process that is not ours, such as a container's. It is not to be closed."""
        namespace = cls.__new__(cls)
        namespace.pid = pid
        return namespace

    def enter(self, *command: str) -> list[str]:
        """Return the command line that runs a command in the namespace."""
        return ["nsenter", "-t", str(self.pid), "-n", *command]

    def close(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def call(self, function: Callable[[], Result]) -> Result:
        """Call a function in the namespace, in the test's own process: it has only one thread."""
        own, there = os.open("/proc/self/ns/net", os.O_RDONLY), os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY)
        try:
            linux.setns(there, linux.CLONE_NEWNET)
            try:
                return function()
            finally:
                linux.setns(own, linux.CLONE_NEWNET)
        finally:
            os.close(own)
            os.close(there)

    def route(self) -> netlink.Socket:
        """A socket for links, addresses and routes."""
        return self.call(netlink.Socket)

    def filter(self) -> netlink.Socket:
        """A socket for nf_tables."""
        return self.call(lambda: netlink.Socket(netlink.NETFILTER))

    def set(self, path: str, text: str) -> None:
        """Set a kernel parameter of the namespace."""

        def write() -> None:
            with open(f"/proc/sys/net/{path}", "w") as file:
                file.write(text)

        self.call(write)

    def listen(self, address: str, port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
        """A TCP socket that listens in the namespace, or one of UDP."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET

        def listen() -> socket.socket:
            listener = socket.socket(family, kind)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, port))
            if kind == socket.SOCK_STREAM:
                listener.listen()
            return listener

        return self.call(listen)

    def reaches(self, address: str, port: int, listener: socket.socket) -> str:
        """Connect to an address; return the client's address as the listener sees it, or "" if it cannot."""
        return connect([(self, address, port, listener)])[0]


def connect(wanted: list[tuple[Namespace, str, int, socket.socket]], patience: float = 1.5) -> list[str]:
    """Make connections at once: from a namespace, to an address and port, where a listener should accept them.

    Returns for each the client's address as the listener sees it, or "" if it cannot be made in so many seconds.
    """
    clients, seen = [], [""] * len(wanted)
    for namespace, address, port, _ in wanted:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        client = namespace.call(lambda family=family: socket.socket(family))
        client.setblocking(False)
        client.connect_ex((address, port))
        clients.append(client)
    waiting, deadline = dict(enumerate(clients)), time.monotonic() + patience * SLOWNESS
    while waiting and (left := deadline - time.monotonic()) > 0:
        for client in select.select([], list(waiting.values()), [], left)[1]:
            number = clients.index(client)
            del waiting[number]
            if client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                listener = wanted[number][3]
                listener.settimeout(5)
                connection, (peer, *_) = listener.accept()
                connection.close()
                seen[number] = str(peer)
    for client in clients:
        client.close()
    return seen


def veth(
    one: Namespace, name: str, address: str, prefix: int, other: Namespace, name2: str, address2: str
) -> None:
    """Connect two namespaces by a veth pair without a bridge."""
    with one.route() as sock, other.route() as peer:
        link.add_veth(sock, name, 0, other.pid, name2, "")
        for end, device, own in ((sock, name, address), (peer, name2, address2)):
            number = link.index(end, device)
            link.add_address(end, number, own, prefix)
            link.set_up(end, number)


@contextmanager
def namespaces(count: int) -> Iterator[list[Namespace]]:
    made: list[Namespace] = []
    try:
        for _ in range(count):
            made.append(Namespace())
        yield made
    finally:
        for namespace in made:
            namespace.close()
