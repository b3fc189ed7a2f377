"""The rule set, tried by connections between network namespaces, with br_netfilter on and off."""

from __future__ import annotations

import hashlib
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from pyctr_lite.networks import chains, link, nft, rules
from tests.networks.topology import Namespace, connect, namespaces, veth

PORT = 8080


class World:
    """host: bridges red, blue (normal) and in (internal); a1, a2 on red; b on blue; i on in; and a world."""

    def __init__(self, made: list[Namespace]) -> None:
        self.host, self.world, self.a1, self.a2, self.b, self.i = made
        self.route, self.filter = self.host.route(), self.host.filter()
        rules.ensure(self.filter)
        veth(self.host, "up0", "192.0.2.1", 24, self.world, "eth0", "192.0.2.2")
        for family in ("ipv4", "ipv6"):
            self.host.set(f"{family}/conf/all/forwarding", "1")
        self.bridges: dict[str, int] = {}
        for number, name in enumerate(("red", "blue", "in"), 1):
            bridge = link.add_bridge(self.route, f"pc-{name}", f"02:42:00:00:0{number}:01")
            link.add_address(self.route, bridge, f"10.{number}.0.1", 24)
            link.add_address(self.route, bridge, f"fd0{number}::1", 64)
            self.host.set(f"ipv4/conf/pc-{name}/route_localnet", "1")
            rules.add_bridge(self.filter, f"pc-{name}", internal=name == "in")
            self.bridges[name] = bridge
        self.join(self.a1, "red", "10.1.0.2", "fd01::2")
        self.join(self.a2, "red", "10.1.0.3", "fd01::3")
        self.join(self.b, "blue", "10.2.0.2", "fd02::2")
        self.join(self.i, "in", "10.3.0.2", "fd03::2")
        with self.world.route() as sock:
            link.add_route(sock, link.index(sock, "eth0"), "192.0.2.1", "10.0.0.0", 8)
        with self.host.route() as sock:
            assert len(link.links(sock)) == 9

    def join(self, box: Namespace, name: str, v4: str, v6: str) -> None:
        mac = f"02:42:{bytes(map(int, v4.split('.'))).hex(':')}"
        link.add_veth(self.route, f"v{v4}", self.bridges[name], box.pid, "eth0", mac)
        link.set_hairpin(self.route, f"v{v4}")
        with box.route() as sock:
            number = link.index(sock, "eth0")
            for address, prefix in ((v4, 24), (v6, 64)):
                link.add_address(sock, number, address, prefix)
            link.set_up(sock, number)
            for gateway in (f"{v4[:-1]}1", f"{v6[:-1]}1"):
                link.add_route(sock, number, gateway)


@pytest.fixture(params=["bridge-nf-call on", "bridge-nf-call off"])
def net(request: pytest.FixtureRequest, needs: Callable[[str], str]) -> Iterator[World]:
    with namespaces(6) as made:
        on = "1" if request.param.endswith("on") else "0"
        for family in ("ip", "ip6"):
            try:
                made[0].set(f"bridge/bridge-nf-call-{family}tables", on)
            except FileNotFoundError:
                if on == "1":
                    pytest.skip("this kernel has no br_netfilter")
        world = World(made)
        yield world
        world.route.sock.close()
        world.filter.sock.close()


def test_who_reaches_whom(net: World) -> None:
    with ExitStack() as stack:
        at = {
            name: stack.enter_context(getattr(net, name).listen("0.0.0.0", PORT))
            for name in ("host", "world", "a1", "a2", "b", "i")
        }
        addresses = {
            "host": "192.0.2.1", "world": "192.0.2.2",
            "a1": "10.1.0.2", "a2": "10.1.0.3", "b": "10.2.0.2", "i": "10.3.0.2",
        }  # fmt: skip
        pairs = [(who, whom) for whom in addresses for who in addresses if who != whom]
        seen = {}
        for whom in addresses:  # a listener does not know which of several connections it accepts
            sources = [who for who in addresses if who != whom]
            found = connect([(getattr(net, who), addresses[whom], PORT, at[whom]) for who in sources])
            seen |= {(who, whom): peer for who, peer in zip(sources, found, strict=True)}
        assert seen.keys() == set(pairs)
    reached = {pair for pair, peer in seen.items() if peer}
    assert reached == {
        *(("host", name) for name in ("world", "a1", "a2", "b", "i")),
        *((name, "host") for name in ("world", "a1", "a2", "b", "i")),
        *((name, "world") for name in ("a1", "a2", "b")),
        ("a1", "a2"),
        ("a2", "a1"),
    }
    assert seen["a1", "world"] == "192.0.2.1", "not masqueraded"
    assert seen["a1", "a2"] == "10.1.0.2", "masqueraded within a network"


def test_a_published_port_is_reached_from_everywhere(net: World) -> None:
    rules.publish(net.filter, "tcp", "0.0.0.0", 80, "10.1.0.2", PORT)
    rules.publish(net.filter, "tcp", "::", 80, "fd01::2", PORT)
    rules.add_own(net.filter, "10.1.0.2")
    with net.a1.listen("0.0.0.0", PORT) as listener:
        for who, address in (
            ("world", "192.0.2.1"), ("host", "192.0.2.1"), ("host", "127.0.0.1"), ("a1", "192.0.2.1"),
            ("a1", "10.1.0.1"), ("a2", "192.0.2.1"), ("b", "192.0.2.1"),
        ):  # fmt: skip
            assert getattr(net, who).reaches(address, 80, listener), f"{who} does not reach {address}"
        rules.withdraw(net.filter, "tcp", "0.0.0.0", 80)
        rules.withdraw(net.filter, "tcp", "0.0.0.0", 80)
        assert not net.world.reaches("192.0.2.1", 80, listener)
    with net.a1.listen("::", PORT) as listener, net.host.listen("::1", 80) as reserved:
        assert net.host.reaches("fd01::1", 80, listener)
        assert net.host.reaches("::1", 80, reserved), "a packet from ::1 would not leave the host"


def test_a_port_of_one_address_is_not_reached_by_another(net: World) -> None:
    rules.publish(net.filter, "tcp", "127.0.0.1", 80, "10.1.0.2", PORT)
    with net.a1.listen("0.0.0.0", PORT) as listener:
        assert net.host.reaches("127.0.0.1", 80, listener)
        assert not net.host.reaches("192.0.2.1", 80, listener)
        assert not net.world.reaches("192.0.2.1", 80, listener)
        assert not net.b.reaches("10.2.0.1", 80, listener)


def test_a_port_is_given_once(net: World) -> None:
    rules.publish(net.filter, "tcp", "0.0.0.0", 80, "10.1.0.2", PORT)
    rules.publish(net.filter, "udp", "0.0.0.0", 80, "10.1.0.2", PORT)
    with pytest.raises(FileExistsError):
        rules.publish(net.filter, "tcp", "0.0.0.0", 80, "10.1.0.3", PORT)


def test_an_internal_network_does_not_reach_a_port_that_the_proxy_serves(net: World) -> None:
    """The proxy would hand the connection on, from the host: the chain `forward` would not see where it began."""
    with net.host.listen("::", 80) as every, net.host.listen("::", 81) as one, net.host.listen("::", 82) as free:
        wanted = [
            (net.i, "fd03::1", 80, every),
            (net.i, "fd01::1", 81, one),
            (net.b, "fd01::1", 80, every),
            (net.b, "fd01::1", 81, one),
            (net.i, "fd03::1", 82, free),
        ]

        def reached() -> list[bool]:
            return [bool(peer) for connection in (wanted[:2], wanted[2:]) for peer in connect(connection)]

        assert all(reached()), "without the rule the attack must succeed"
        for _ in range(2):
            rules.guard(net.filter, "tcp", "::", 80)
            rules.guard(net.filter, "tcp", "fd01::1", 81)
        assert reached() == [False, False, True, True, True]
        assert net.i.reaches("fd03::1", 81, one), "on another address the port is a server's of the host"
        for _ in range(2):
            rules.withdraw(net.filter, "tcp", "::", 80)
            rules.withdraw(net.filter, "tcp", "fd01::1", 81)
        assert all(reached())


def older(world: World) -> None:
    """Replace the table by one of the first version: without a version, without the chain `input` and its sets."""
    rules.remove(world.filter)
    requests = chains.requests_for(rules.TABLE, 1)
    nft.run(
        world.filter,
        [each for each in requests if not any(word in each[0] for word in ("version", "proxied", " input "))],
    )


def test_a_table_of_an_older_version_gets_the_present_rules_and_keeps_its_elements(
    net: World, needs: Callable[[str], str]
) -> None:
    def content() -> str:
        command = net.host.enter(needs("nft"), "list", "table", "inet", rules.TABLE)
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def add() -> None:
        rules.add_bridge(net.filter, "pc-red")
        rules.add_bridge(net.filter, "pc-in", internal=True)
        rules.publish(net.filter, "tcp", "0.0.0.0", 80, "10.1.0.2", PORT)
        rules.add_own(net.filter, "10.1.0.2")

    rules.remove(net.filter)
    rules.ensure(net.filter)
    add()
    new = content()
    older(net)
    add()
    nft.run(net.filter, [nft.add_rule(rules.TABLE, "forward", "drop", nft.verdict(nft.DROP))])
    assert not rules.are_current(net.filter)
    with net.host.listen("::", 80) as listener:
        assert net.i.reaches("fd03::1", 80, listener)
        rules.ensure(net.filter)
        assert sorted(content().split("\n")) == sorted(new.split("\n"))
        rules.guard(net.filter, "tcp", "::", 80)
        assert not net.i.reaches("fd03::1", 80, listener)
    rules.ensure(net.filter)
    assert rules.are_current(net.filter)


def test_a_table_of_a_newer_version_stays(net: World) -> None:
    mark = struct.pack("=I", rules.VERSION + 1)
    nft.run(net.filter, [nft.flush_set(rules.TABLE, "version"), nft.add_element(rules.TABLE, "version", "", mark)])
    rules.ensure(net.filter)
    assert nft.elements(net.filter, rules.TABLE, "version") == [(mark, b"")]


def test_the_version_changes_with_the_rules() -> None:
    content = repr(chains.requests_for(rules.TABLE, 0)).encode()
    known = {2: "c83bafcada58a832", 3: "62af483ef62370e8"}
    assert hashlib.sha256(content).hexdigest()[:16] == known.get(rules.VERSION), "raise rules.VERSION"


def test_no_container_reaches_services_on_the_hosts_loopback(net: World) -> None:
    """route_localnet lets packets for 127.0.0.1 in from the bridge; the rule in the chain `raw` drops them."""
    with net.host.listen("127.0.0.1", 631) as listener:
        net.a1.set("ipv4/conf/all/route_localnet", "1")
        script = "ip address del 127.0.0.1/8 dev lo && ip route add 127.0.0.1 via 10.1.0.1 dev eth0"
        subprocess.run(net.a1.enter("sh", "-c", script), check=True)
        assert not net.a1.reaches("127.0.0.1", 631, listener)
        rules.remove(net.filter)
        assert net.a1.reaches("127.0.0.1", 631, listener), "without the rule the attack must succeed"


def test_nft_shows_the_rules_in_its_own_words(net: World, needs: Callable[[str], str]) -> None:
    rules.publish(net.filter, "tcp", "192.0.2.1", 80, "10.1.0.2", PORT)
    command = net.host.enter(needs("nft"), "list", "table", "inet", rules.TABLE)
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for line in (
        'elements = { "pc-in" }',
        "tcp . 192.0.2.1 . 80 : 10.1.0.2 . 8080",
        'ip daddr 127.0.0.0/8 iifname != "lo" drop',
        'ip saddr 127.0.0.0/8 iifname != "lo" drop',
        "fib daddr type local dnat ip to meta l4proto . ip daddr . th dport map @ports4",
        "iifname @hidden oifname != @bridges masquerade",
        "iifname . oifname @same accept",
        "oifname @bridges drop",
        "iifname @internal meta l4proto . th dport @proxied_any6 drop",
        "iifname @internal meta l4proto . ip6 daddr . th dport @proxied_ports6 drop",
    ):
        assert line in shown
    rules.ensure(net.filter)
    rules.remove(net.filter)
    rules.remove(net.filter)
