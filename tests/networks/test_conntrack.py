"""UDP flows that were there before a port was published, or that lead to a container that has ended."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from pyctr_lite.linux import netlink
from pyctr_lite.networks import conntrack, link, rules
from tests.conftest import SLOWNESS
from tests.networks.topology import Namespace, namespaces, veth

PORT = 5514


class World:
    """A host with two containers and a client behind its uplink, of IPv4 and IPv6."""

    def __init__(
        self, stack: ExitStack, host: Namespace, one: Namespace, two: Namespace, client: Namespace
    ) -> None:
        self.stack, self.host, self.one, self.two, self.client = stack, host, one, two, client
        self.route, self.filter = stack.enter_context(host.route()), stack.enter_context(host.filter())
        rules.ensure(self.filter)
        for family in ("ipv4", "ipv6"):
            host.set(f"{family}/conf/all/forwarding", "1")
        for namespace in (host, one, two, client):
            namespace.set("ipv6/conf/default/accept_dad", "0")  # it would take a second
        for number, (name, box) in enumerate({"up0": client, "one": one, "two": two}.items()):
            veth(host, name, f"10.{number}.0.1", 24, box, "eth0", f"10.{number}.0.2")
            with box.route() as sock:
                device = link.index(sock, "eth0")
                link.add_address(self.route, link.index(self.route, name), f"fd0{number}::1", 64)
                link.add_address(sock, device, f"fd0{number}::2", 64)
                for gateway in (f"10.{number}.0.1", f"fd0{number}::1"):
                    link.add_route(sock, device, gateway)

    def bind(self, namespace: Namespace, address: str, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = namespace.call(lambda: socket.socket(family, socket.SOCK_DGRAM))
        self.stack.enter_context(sock)
        sock.settimeout(10 * SLOWNESS)
        sock.bind((address, port))
        return sock

    def entries(self) -> int:
        """Count the entries of both IP versions."""
        return len(self.filter.request("conntrack -L", 1 << 8 | 1, netlink.DUMP, bytes(4)))


@pytest.fixture
def world() -> Iterator[World]:
    with namespaces(4) as made, ExitStack() as stack:
        yield World(stack, *made)


VERSIONS = pytest.mark.parametrize(
    ("every", "host", "container"), [("0.0.0.0", "10.0.0.1", "10.{}.0.2"), ("::", "fd00::1", "fd0{}::2")]
)


def receiver(client: socket.socket, to: tuple[str, int], servers: list[socket.socket]) -> socket.socket:
    """Send a datagram; return the server that gets it."""
    client.sendto(b"x", to)
    (ready,), _, _ = select.select(servers, [], [], 10 * SLOWNESS)
    ready.recv(10)
    return ready


@VERSIONS
def test_a_flow_to_a_container_that_has_ended_goes_to_the_next_one(
    world: World, every: str, host: str, container: str
) -> None:
    first, second = (world.bind(box, every, PORT) for box in (world.one, world.two))
    client, another = (world.bind(world.client, every, port) for port in (4000, 4001))
    rules.publish(world.filter, "udp", every, PORT, container.format(1), PORT)
    assert receiver(client, (host, PORT), [first, second]) is first
    rules.withdraw(world.filter, "udp", every, PORT)
    rules.publish(world.filter, "udp", every, PORT, container.format(2), PORT)
    assert receiver(client, (host, PORT), [first, second]) is first, "the trap"
    assert receiver(another, (host, PORT), [first, second]) is second
    assert conntrack.forget_container(world.filter, container.format(1)) == 1
    for each in (client, another):
        assert receiver(each, (host, PORT), [first, second]) is second
    assert conntrack.forget_container(world.filter, container.format(1)) == 0


@VERSIONS
@pytest.mark.parametrize("everywhere", [True, False])
def test_a_flow_from_before_the_port_was_published_goes_to_the_container(
    world: World, every: str, host: str, container: str, everywhere: bool
) -> None:
    reserved, inside = world.bind(world.host, every, PORT), world.bind(world.one, every, PORT)
    client, published = world.bind(world.client, every, 4000), every if everywhere else host
    assert receiver(client, (host, PORT), [reserved, inside]) is reserved
    rules.publish(world.filter, "udp", published, PORT, container.format(1), PORT)
    assert receiver(client, (host, PORT), [reserved, inside]) is reserved, "the trap"
    assert conntrack.forget_ports(world.filter, world.route, [(published, PORT + 1)]) == 0
    assert conntrack.forget_ports(world.filter, world.route, [(published, PORT)]) == 1
    assert receiver(client, (host, PORT), [reserved, inside]) is inside
    assert conntrack.forget_ports(world.filter, world.route, [(published, PORT)]) == 0


def test_other_flows_are_left_alone(world: World) -> None:
    bystanders = [
        (world.client, "10.1.0.2", PORT), (world.client, "fd01::2", PORT),  # of another machine
        (world.client, "10.0.0.1", PORT + 1), (world.client, "fd00::1", PORT + 1),  # another port
        (world.one, "10.0.0.2", PORT), (world.one, "10.2.0.2", 53),  # from the container
        (world.host, "127.0.0.2", PORT), (world.two, "10.2.0.1", PORT),  # another address of the host
    ]  # fmt: skip
    for source, address, port in bystanders:
        client = world.bind(source, "::" if ":" in address else "0.0.0.0", 0)
        client.sendto(b"x", (address, port))
    with world.client.listen("0.0.0.0", PORT) as listener:
        assert world.one.reaches("10.0.0.2", PORT, listener)
    rules.publish(world.filter, "udp", "0.0.0.0", 99, "10.2.0.2", PORT)
    world.bind(world.client, "0.0.0.0", 0).sendto(b"x", ("10.0.0.1", 99))
    before = world.entries()
    assert before >= len(bystanders) + 2
    published = [("10.0.0.1", PORT), ("fd00::1", PORT), ("0.0.0.0", 99)]
    assert conntrack.forget_ports(world.filter, world.route, published) == 0
    for address in ("10.1.0.2", "fd01::2"):
        conntrack.forget_container(world.filter, address)
    assert world.entries() == before - 2, "the client's flows to the container were led to it"


def test_nothing_to_forget_asks_the_kernel_nothing(world: World) -> None:
    world.bind(world.client, "0.0.0.0", 0).sendto(b"x", ("10.0.0.1", PORT))
    assert conntrack.forget_ports(world.filter, world.route, []) == 0
    assert world.entries() == 1


def test_thousands_of_flows_are_forgotten_in_a_moment(world: World) -> None:
    world.bind(world.host, "0.0.0.0", PORT)
    for address in (f"127.0.{high}.{low}" for high in range(8) for low in range(1, 251)):
        sock = world.bind(world.host, address, 4000)
        sock.sendto(b"x", ("127.0.0.1", PORT))
        sock.close()
    assert world.entries() == 2000
    began = time.perf_counter()
    assert conntrack.forget_ports(world.filter, world.route, [("0.0.0.0", PORT)]) == 2000
    took = time.perf_counter() - began
    print(f"{took * 1000:.0f} ms")
    assert world.entries() == 0
    assert took < 0.5 * SLOWNESS
