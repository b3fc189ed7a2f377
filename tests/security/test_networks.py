"""Attacks on and by way of networks, on a machine of the test's own (`tests.networks.machine` has its plan).

The attacker is root in a container. What the capabilities that a container has by default are enough for is tried
with them; else the test adds NET_ADMIN.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pyctr_lite.networks import link, rules
from tests.conftest import SLOWNESS, Pyctr
from tests.networks.machine import Machine, at, surroundings
from tests.networks.topology import Namespace, connect

LOOPBACK_PORT = 631
QUERY = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + b"\x07outside\x07example\x00" + struct.pack(">HH", 1, 1)


@pytest.fixture
def machine(pyctr: Pyctr) -> Iterator[Machine]:
    """A machine with three networks."""
    with surroundings() as (host, world):
        machine = Machine(host, world, host.enter(*pyctr.command()))
        machine.create_networks()
        yield machine
        machine("rm", "-f", *machine.containers())


def test_no_container_reaches_servers_on_the_hosts_loopback(machine: Machine) -> None:
    """Published ports need route_localnet on the bridge, and with it 127.0.0.1 is reached but for a rule."""
    options = "--cap-add=NET_ADMIN", "--sysctl=net.ipv4.conf.all.route_localnet=1"
    attacker = machine.run("attacker", *at("red", "r1"), *options)
    attack = "ip address del 127.0.0.1/8 dev lo && ip route add 127.0.0.1 via 10.81.0.1 dev eth0"
    machine("exec", "attacker", "sh", "-c", attack)
    with machine.host.listen("127.0.0.1", LOOPBACK_PORT) as server, machine.host.filter() as filter:
        assert not attacker.reaches("127.0.0.1", LOOPBACK_PORT, server)
        rules.remove(filter)
        assert attacker.reaches("127.0.0.1", LOOPBACK_PORT, server), "without the rule the attack must succeed"


def test_no_container_is_taken_for_the_hosts_loopback(machine: Machine) -> None:
    """With route_localnet on the bridge, the kernel takes packets from 127.0.0.2, which a server may trust."""
    attacker = machine.run("attacker", *at("red", "r1"))
    raw = attacker.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW))
    with raw, machine.host.call(lambda: socket.socket(type=socket.SOCK_DGRAM)) as server:
        server.bind(("0.0.0.0", LOOPBACK_PORT))
        server.settimeout(10 * SLOWNESS)

        for source in ("127.0.0.2", "10.81.0.77"):
            raw.sendto(packet_of_udp(source, "10.81.0.1", LOOPBACK_PORT), ("10.81.0.1", 0))
        assert server.recvfrom(1)[1][0] == "10.81.0.77"
        with machine.host.filter() as filter:
            rules.remove(filter)
        raw.sendto(packet_of_udp("127.0.0.2", "10.81.0.1", LOOPBACK_PORT), ("10.81.0.1", 0))
        assert server.recvfrom(1)[1][0] == "127.0.0.2", "without the rule the attack must succeed"


def test_an_administrator_in_an_internal_network_does_not_get_out(machine: Machine) -> None:
    """Neither by a default route nor under an address of another network."""
    attacker = machine.run("attacker", *at("inner", "i1"), "--cap-add=NET_ADMIN")
    victim = machine.run("victim", *at("red", "r1"))
    with machine.world.route() as sock:
        link.add_route(sock, link.index(sock, "eth0"), "192.0.2.1", "10.0.0.0", 8)
    attack = "ip route add default via 10.83.0.1; ip address add 10.81.0.9/32 dev eth0"
    machine("exec", "attacker", "sh", "-c", attack)
    with ExitStack() as stack:
        inside, outside = (stack.enter_context(box.listen("0.0.0.0", 80)) for box in (victim, machine.world))
        there = stack.enter_context(attacker.listen("0.0.0.0", 80))
        assert connect(
            [
                (attacker, "10.81.0.2", 80, inside),
                (attacker, "192.0.2.2", 80, outside),
                (machine.world, "10.83.0.2", 80, there),
            ]
        ) == ["", "", ""]
        machine("exec", "attacker", "sh", "-c", "ip route replace default via 10.83.0.1 src 10.81.0.9")
        assert connect([(attacker, "10.81.0.2", 80, inside), (attacker, "192.0.2.2", 80, outside)]) == ["", ""]
        assert victim.reaches("192.0.2.2", 80, outside) == "192.0.2.1"


def test_an_end_of_a_cable_that_a_container_moves_to_the_host_vanishes_with_it(machine: Machine) -> None:
    """NET_ADMIN without a user namespace is enough for it; --pid host only gives the host's namespace a number."""
    move = "ip", "link", "set", "eth0", "netns", str(machine.host.pid)
    with machine.host.route() as sock:
        machine.run("ordinary", "--pid=host", "--network=red")
        with pytest.raises(AssertionError, match="not permitted"):
            machine("exec", "ordinary", *move)
        machine("rm", "-f", "ordinary")
        machine.run("ordinary", "--pid=host", "--network=red", "--cap-add=NET_ADMIN")
        machine("exec", "ordinary", *move)
        assert "eth0" in [found.name for found in link.links(sock)]
        machine("stop", "-t", "0", "ordinary")
        assert "eth0" not in [found.name for found in link.links(sock)]


def test_names_asked_for_in_an_internal_network_are_not_asked_for_outside(pyctr: Pyctr, tmp_path: Path) -> None:
    """CVE-2024-29018: data leaves by DNS, because the engine sends queries on from the host."""
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.53\n")
    own = "unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
    with surroundings() as (host, world):
        machine = Machine(host, world, host.enter(*own, str(tmp_path / "resolv.conf"), *pyctr.command()))
        machine.create_networks()
        boxes = machine.run("inside", *at("inner", "i1")), machine.run("ordinary", *at("red", "r1"))
        with host.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as server:
            server.bind(("127.0.0.53", 53))
            server.settimeout(10 * SLOWNESS)
            inside, ordinary = (
                box.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for box in boxes
            )
            with inside, ordinary:
                inside.settimeout(10 * SLOWNESS)
                inside.sendto(QUERY, ("127.0.0.11", 53))
                assert inside.recv(512)[3] & 15 == 2, "SERVFAIL"
                ordinary.sendto(QUERY, ("127.0.0.11", 53))
                assert QUERY[12:] in server.recv(512)
                server.setblocking(False)
                with pytest.raises(BlockingIOError):
                    server.recv(512)
        machine("rm", "-f", *machine.containers())


def test_a_router_advertisement_of_a_container_changes_no_routes(machine: Machine) -> None:
    """CVE-2020-13401 and CVE-2020-10749: it makes itself the router of the host, or of its neighbours."""
    attacker, victim = machine.run("attacker", *at("red", "r1")), machine.run("victim", *at("red", "r2"))
    message = struct.pack(">BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)  # be a router for half an hour
    advertisement = icmpv6("fe80::bad", "ff02::1", message)
    router = socket.inet_pton(socket.AF_INET6, "fe80::bad").hex()

    for receiver, device, address in (
        (machine.host, bridge_of(machine, "red"), "fd81::1"),
        (victim, "eth0", "fd81::3"),
    ):
        for accepted in (False, True):  # without the setting the attack must succeed
            if accepted:
                receiver.set(f"ipv6/conf/{device}/accept_ra", "2")
            send_and_wait(attacker, 0x86DD, advertisement, receiver, address)
            assert (router in Path(f"/proc/{receiver.pid}/net/ipv6_route").read_text()) == accepted


def test_a_network_without_ipv6_has_no_ipv6(machine: Machine) -> None:
    """CVE-2024-32473: bridge and container have link-local addresses in a network of IPv4 only."""
    machine("network", "create", "plain")
    box = machine.run("box", "--network", "plain")
    names = Path(f"/proc/{box.pid}/net/if_inet6").read_text().split()[5::6]
    assert names == ["lo"]
    on_host = Path(f"/proc/{machine.host.pid}/net/if_inet6").read_text().split()[5::6]
    assert bridge_of(machine, "plain") not in on_host
    assert bridge_of(machine, "red") in on_host


def test_a_server_never_sees_a_proxied_client_as_its_own_loopback(machine: Machine) -> None:
    """CVE-2021-20199: a server that trusts 127.0.0.1 would trust everybody."""
    box = machine.run("web", "--network", "red", "-p", "8080:80", "-p", "8081:81")
    machine("network", "create", "plain")
    plain = machine.run("plain", "--network", "plain", "-p", "8082:80")
    with box.listen("::", 80) as server, plain.listen("::", 80) as proxied:
        for who, address, port, at_server in (
            (machine.world, "192.0.2.1", 8080, server),
            (machine.world, "2001:db8::1", 8080, server),
            (machine.host, "127.0.0.1", 8080, server),
            (machine.host, "::1", 8080, server),
            (machine.world, "2001:db8::1", 8082, proxied),
            (machine.host, "::1", 8082, proxied),
        ):
            peer = who.reaches(address, port, at_server).removeprefix("::ffff:")
            assert peer, f"{address} {port} is not reached"
            assert not peer.startswith("127."), (address, port)
            assert peer != "::1", (address, port)


@pytest.mark.parametrize("name", ["../../x", "/x", "..", "a/b"])
def test_the_name_of_a_network_or_driver_is_not_a_path(pyctr: Pyctr, tmp_path: Path, name: str) -> None:
    """CVE-2021-20206: a program is run, or a file written, whose path the name leads to."""
    for command in (["create", name], ["create", "-d", name, "fine"], ["rm", name], ["inspect", name]):
        assert pyctr("network", *command).returncode == 1
    assert pyctr("run", "--rm", "--network", name, "busybox", "true").returncode == 125
    assert [path for path in tmp_path.rglob("*") if path.name in ("x", "b", "network.json")] == []


def test_a_neighbour_with_net_raw_takes_over_an_address(machine: Machine) -> None:
    """As in Docker: containers of one network trust each other, and NET_RAW is among the default capabilities."""
    victim, _ = machine.run("victim", *at("red", "r1")), machine.run("server", *at("red", "r2"))
    attacker = machine.run("attacker", "--network", "red")
    victim.set("ipv4/neigh/eth0/locktime", "0")  # else an entry is believed for a second
    mine = bytes.fromhex(mac_of(machine, "attacker").replace(":", ""))
    own = mine + socket.inet_aton("10.81.0.3")
    solicited_and_override = 0x60000000
    neighbor = struct.pack(">BBHI", 136, 0, 0, solicited_and_override) + socket.inet_pton(
        socket.AF_INET6, "fd81::3"
    )
    for address, victims, kind, content in (
        ("10.81.0.3", "10.81.0.2", 0x806, struct.pack(">HHBBH", 1, 0x800, 6, 4, 2) + own + own),
        ("fd81::3", "fd81::2", 0x86DD, icmpv6("fd81::3", "fd81::2", neighbor + b"\2\1" + mine)),
    ):
        machine("exec", "victim", "ping", "-c", "1", "-w", "5", address)
        assert neighbour(machine, address) == mac_of(machine, "server")
        send_and_wait(attacker, kind, content, victim, victims)
        assert neighbour(machine, address) == mac_of(machine, "attacker"), "not stopped: SECURITY.md says so"


def test_without_net_raw_no_other_address_can_be_used(machine: Machine) -> None:
    machine.run("weak", "--network", "red", "--cap-drop=NET_RAW")
    for attack in (
        "arping -c 1 -w 1 10.81.0.3",
        "ip address add 10.81.0.3/24 dev eth0",
        "ip link set eth0 address 02:42:0a:51:00:03",
        "ip route add default via 10.81.0.3",
    ):
        with pytest.raises(AssertionError, match=r"(?i)not permitted"):
            machine("exec", "weak", *attack.split())


def neighbour(machine: Machine, address: str) -> str:
    """Return the MAC address that the victim has for an address."""
    return machine("exec", "victim", "ip", "neigh", "show", address).split("lladdr ")[1].split()[0]


def mac_of(machine: Machine, name: str) -> str:
    return machine("exec", name, "cat", "/sys/class/net/eth0/address")


def bridge_of(machine: Machine, network: str) -> str:
    return f"pc-{machine('network', 'inspect', '-f', '{{.Id}}', network)[:12]}"


def send_and_wait(box: Namespace, kind: int, content: bytes, receiver: Namespace, address: str) -> None:
    """Send an Ethernet frame to everybody, and wait until the receiver, which has that address, has handled it."""
    with box.call(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)) as sock:
        sock.bind(("eth0", kind))
        sock.send(b"\xff" * 6 + sock.getsockname()[4] + struct.pack(">H", kind) + content)
    with receiver.listen("::", 80) as listener:
        assert box.reaches(address, 80, listener), "what is sent later comes later"


def packet_of_udp(source: str, destination: str, port: int) -> bytes:
    """Return a packet with an empty datagram. The kernel fills in the checksum of its header."""
    header = struct.pack(">BBHHHBBH", 0x45, 0, 28, 0, 0, 64, socket.IPPROTO_UDP, 0)
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    return header + addresses + struct.pack(">HHHH", port, port, 8, 0)


def icmpv6(source: str, destination: str, message: bytes) -> bytes:
    """Return a packet with an ICMPv6 message, whose checksum is zero, from one address to another."""
    addresses = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, destination)
    words = addresses + struct.pack(">II", len(message), socket.IPPROTO_ICMPV6) + message
    total = sum(struct.unpack(f">{len(words) // 2}H", words))
    checksum = 0xFFFF - total % 0xFFFF
    head = struct.pack(">IHBB", 6 << 28, len(message), socket.IPPROTO_ICMPV6, 255)
    return head + addresses + message[:2] + struct.pack(">H", checksum) + message[4:]
