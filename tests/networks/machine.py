"""A machine with an engine, in network namespaces of the test's own, and the table of who reaches whom there.

    world ── uplink ── host ─┬─ red       r1 (with published ports), r2
                             ├─ blue      b1
                             ├─ inner     i1: an internal network, but i1 has a default route of its own making
                             └─ default   d1 (with a published port), without IPv6

Every container and the host have servers. A client sends the number of its connection to the server: so all
are made at once, and one that a proxy takes counts only if its data reaches the container.
"""

from __future__ import annotations

import select
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from pyctr_lite.networks import link
from tests.conftest import SLOWNESS
from tests.networks.topology import Namespace, namespaces, veth

HTTP, LOCAL, SERVICE, LOOPBACK_SERVICE = 80, 81, 90, 91
PUBLISHED, PUBLISHED_LOCALLY, PUBLISHED_OF_D = 8080, 8081, 8082
ROWS = ("world", "host", "r1", "r2", "b1", "i1", "d1")
COLUMNS = {
    "r1 r2 b1 i1 d1": "a container's own address",
    "pub": "a port of r1, published on all addresses, at the host's address in the world",
    "gate": "the same port at the address of the caller's own bridge",
    "lo": "the same port at 127.0.0.1 or ::1: asked on the host only",
    "pubd": "a port of d1, published on all addresses, at the host's address in the world",
    "local": "a port of r1 that is published on 127.0.0.1 or ::1 only, at the host's address in the world",
    "llo": "the same port at that address",
    "host": "a server of the host",
    "hlo": "a server that listens on the host's 127.0.0.1 or ::1, asked for at the host's address in the world",
    "world": "a server in the world",
}
"""The destinations."""
NAMES = [name for names in COLUMNS for name in names.split()]
_ADDRESSES = {
    4: {"world": "192.0.2.2", "host": "192.0.2.1", "lo": "127.0.0.1", "r1": "10.81.0.2", "r2": "10.81.0.3",
        "b1": "10.82.0.2", "i1": "10.83.0.2", "r": "10.81.0.1", "B": "10.82.0.1", "I": "10.83.0.1"},
    6: {"world": "2001:db8::2", "host": "2001:db8::1", "lo": "::1", "r1": "fd81::2", "r2": "fd81::3",
        "b1": "fd82::2", "i1": "fd83::2", "r": "fd81::1", "B": "fd82::1", "I": "fd83::1"},
}  # fmt: skip
_GATEWAYS = {"r1": "r", "r2": "r", "b1": "B", "i1": "I", "d1": "D"}
_PATIENCE = 1.5
_RTMGRP_IPV6_IFADDR, _IFA_F_TENTATIVE = 0x100, 0x40

MODES = ("br_netfilter off", "br_netfilter on")
Table = dict[tuple[int, str, str], str]
"""For IPv4 and IPv6, from whom and to what: "." not reached; "=" reached, and the server saw the caller's address;
"h" reached, and it saw one of the host's."""


class Machine:
    """The host, and the world behind its uplink. `command` is the engine's command line, and works on the host."""

    def __init__(
        self, host: Namespace, world: Namespace, command: Sequence[str], options: Sequence[str] = ()
    ) -> None:
        self.host, self.world, self.command, self.options = host, world, command, options
        self.boxes: dict[str, Namespace] = {"host": host, "world": world}
        self.addresses = {version: dict(known) for version, known in _ADDRESSES.items()}

    def __call__(self, *arguments: str) -> str:
        """Run a command of the engine, which must not fail. Returns its output."""
        done = subprocess.run(
            [*self.command, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def run(self, name: str, *options: str) -> Namespace:
        """Start a container that does nothing. Returns its network namespace."""
        self("run", "-d", "--name", name, *self.options, *options, "busybox", "sleep", "1000")
        self.boxes[name] = Namespace.of(int(self("inspect", "-f", "{{.State.Pid}}", name)))
        return self.boxes[name]

    def create_networks(self) -> None:
        """Make the three networks."""
        for number, (name, *more) in enumerate((("red",), ("blue",), ("inner", "--internal")), 81):
            subnets = f"--subnet=10.{number}.0.0/24", "--ipv6", f"--subnet=fd{number}::/64"
            self("network", "create", *subnets, *more, name)

    def fill(self) -> None:
        """Make the networks and the containers of the table."""
        self.create_networks()
        published = (
            f"{PUBLISHED}:{HTTP}",
            f"127.0.0.1:{PUBLISHED_LOCALLY}:{LOCAL}",
            f"[::1]:{PUBLISHED_LOCALLY}:{LOCAL}",
        )
        both = [f"--publish={each}/{protocol}" for each in published for protocol in ("tcp", "udp")]
        self.run("r1", *at("red", "r1"), *both)
        self.run("r2", *at("red", "r2"))
        self.run("b1", *at("blue", "b1"))
        add_default_routes(self.run("i1", *at("inner", "i1")), "I")
        of_d = [f"--publish={PUBLISHED_OF_D}:{HTTP}/{protocol}" for protocol in ("tcp", "udp")]
        with self.run("d1", "--network", "bridge", *of_d).route() as sock:
            ((_, address, _),) = [row for row in link.addresses(sock) if row[0] != 1 and ":" not in row[1]]
        self.addresses[4] |= {"d1": address, "D": f"{address.rpartition('.')[0]}.1"}
        add_default_routes(self.world, "host")  # so that it can try to reach containers
        for box in self.boxes.values():
            wait_for_addresses(box)

    def containers(self) -> list[str]:
        """Return the names of the containers."""
        return [name for name in self.boxes if name not in ("host", "world")]


def at(network: str, name: str) -> list[str]:
    """Return the options of `run` for a container's place in a network."""
    return ["--network", network, "--ip", _ADDRESSES[4][name], "--ip6", _ADDRESSES[6][name]]


def add_default_routes(box: Namespace, gateway: str) -> None:
    """Let everything go to a gateway, by either version of IP. An internal one of Docker has it."""
    with box.route() as sock:
        for version in (4, 6):
            with suppress(FileExistsError):
                link.add_route(sock, link.index(sock, "eth0"), _ADDRESSES[version][gateway])


def wait_for_addresses(box: Namespace) -> None:
    """Wait until no address is tentative: Docker lets the kernel look for duplicates of those of a bridge."""
    deadline = time.monotonic() + 10 * SLOWNESS
    with box.call(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)) as changes:
        changes.bind((0, _RTMGRP_IPV6_IFADDR))
        while _has_tentative_address(box) and (left := deadline - time.monotonic()) > 0:
            if select.select([changes], [], [], left)[0]:
                changes.recv(65536)
    assert not _has_tentative_address(box)


def _has_tentative_address(box: Namespace) -> bool:
    lines = Path(f"/proc/{box.pid}/net/if_inet6").read_text().splitlines()
    return any(int(line.split()[4], 16) & _IFA_F_TENTATIVE for line in lines)


@contextmanager
def surroundings() -> Iterator[tuple[Namespace, Namespace]]:
    """Make a host with an uplink, which forwards nothing yet, and the world behind it."""
    with namespaces(2) as (host, world):
        for family in ("ipv4", "ipv6"):
            host.set(f"{family}/conf/all/forwarding", "0")
        veth(host, "up0", "192.0.2.1", 24, world, "eth0", "192.0.2.2")
        for namespace, device, address in ((host, "up0", "2001:db8::1"), (world, "eth0", "2001:db8::2")):
            with namespace.route() as sock:
                link.add_address(sock, link.index(sock, device), address, 64)
        yield host, world


def set_mode(host: Namespace, mode: str) -> None:
    """Let packets within a bridge pass the packet filter, or not. Skips the test if the kernel cannot."""
    for family in ("ip", "ip6"):
        try:
            host.set(f"bridge/bridge-nf-call-{family}tables", "1" if mode.endswith("on") else "0")
        except FileNotFoundError:
            if mode.endswith("on"):
                pytest.skip("this kernel has no br_netfilter")


def who_reaches_whom(machine: Machine, kind: socket.SocketKind = socket.SOCK_STREAM) -> Table:
    """Make every connection of the table, by TCP, or send a datagram by UDP."""
    cells = {
        (version, who, name): to
        for version in (4, 6)
        for who, name, *to in _connections(machine.addresses[version])
    }
    with ExitStack() as stack:
        servers = _servers(machine, kind)
        for server in servers:
            stack.enter_context(server)
        peers = _connect([(machine.boxes[who], *to) for (_, who, _), to in cells.items()], servers)
    hosts = {
        known[name] for known in machine.addresses.values() for name in ("host", "lo", *"rBID") if name in known
    }
    table = {}
    for (version, who, name), peer in zip(cells, peers, strict=True):
        own = peer == machine.addresses[version].get(who)
        table[version, who, name] = "." if not peer else "=" if own else "h" if peer in hosts else peer
    return table


def shown(table: Table, version: int) -> str:
    """Return the part of a table for a version of IP, as text."""
    lines = ["      " + " ".join(f"{name:5}" for name in NAMES)]
    for who in dict.fromkeys(who for cell, who, _ in table if cell == version):
        lines.append(f"{who:5} " + " ".join(f"{table.get((version, who, name), ' '):5}" for name in NAMES))
    return "\n".join(line.rstrip() for line in lines)


def read(texts: dict[int, str]) -> Table:
    """Return the table of such texts. Every cell is there that can be asked for."""
    table = {}
    for version, text in texts.items():
        for line in text.strip().splitlines()[1:]:
            cells = line[6:].ljust(6 * len(NAMES))
            for number, name in enumerate(NAMES):
                if cell := cells[6 * number : 6 * number + 5].strip():
                    table[version, line.split()[0], name] = cell
    return table


def _connections(address: dict[str, str]) -> Iterator[tuple[str, str, str, int]]:
    """List who connects to which column's address and port."""
    for who in ROWS:
        if who not in address:
            continue
        for name in ("r1", "r2", "b1", "i1", "d1"):
            if name in address and name != who:
                yield who, name, address[name], HTTP
        yield who, "pub", address["host"], PUBLISHED
        if who in _GATEWAYS:
            yield who, "gate", address[_GATEWAYS[who]], PUBLISHED
        yield who, "pubd", address["host"], PUBLISHED_OF_D
        yield who, "local", address["host"], PUBLISHED_LOCALLY
        if who == "host":
            yield who, "lo", address["lo"], PUBLISHED
            yield who, "llo", address["lo"], PUBLISHED_LOCALLY
        yield who, "host", address["host"], SERVICE
        yield who, "hlo", address["host"], LOOPBACK_SERVICE
        yield who, "world", address["world"], HTTP


def _servers(machine: Machine, kind: socket.SocketKind) -> list[socket.socket]:
    servers = []
    for name, box in machine.boxes.items():
        ports = {"host": (SERVICE,), "r1": (HTTP, LOCAL)}.get(name, (HTTP,))
        servers += [box.listen("::", port, kind) for port in ports]
    return servers + [machine.host.listen(address, LOOPBACK_SERVICE, kind) for address in ("127.0.0.1", "::1")]


def _connect(wanted: list[tuple[Namespace, str, int]], servers: list[socket.socket]) -> list[str]:
    """Make all connections at once. Returns each client's address as its server saw it, "" if it saw none."""
    peers, clients = [""] * len(wanted), []
    poller, sockets = select.poll(), {}
    for server in servers:
        sockets[server.fileno()] = server
        poller.register(server, select.POLLIN)
    for box, address, port in wanted:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        client = box.call(lambda family=family: socket.socket(family, servers[0].type))
        client.setblocking(False)
        client.connect_ex((address, port))
        clients.append(client)
        sockets[client.fileno()] = client
        poller.register(client, select.POLLOUT)
    numbers = {client.fileno(): number for number, client in enumerate(clients)}
    accepted: dict[int, str] = {}
    deadline = time.monotonic() + _PATIENCE * SLOWNESS
    while (left := deadline - time.monotonic()) > 0:
        for fd, _ in poller.poll(left * 1000):
            sock = sockets[fd]
            if fd in numbers:  # a client: it says its number, if it is connected
                poller.unregister(fd)
                with suppress(OSError):  # refused
                    sock.send(b"%d" % numbers[fd])
            elif fd in accepted:
                poller.unregister(fd)
                with suppress(OSError):
                    if data := sock.recv(100):
                        peers[int(data)] = accepted[fd]
            elif sock.type == socket.SOCK_DGRAM:
                data, (peer, *_) = sock.recvfrom(100)
                peers[int(data)] = peer
            else:
                connection, (peer, *_) = sock.accept()
                sockets[connection.fileno()], accepted[connection.fileno()] = connection, peer
                poller.register(connection, select.POLLIN)
    for fd in (*numbers, *accepted):
        sockets[fd].close()
    return [peer.removeprefix("::ffff:") for peer in peers]
