"""Forwarding that the engine switches on: for containers, not for everyone; and how it is switched off again."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from pyctr_lite.linux import kernelfile, netlink
from pyctr_lite.networks import forwarding, link, nft, rules, tables
from tests.networks.topology import Namespace, connect, namespaces, veth

DELCHAIN = 0xA05
"""A request of nf_tables that the engine does not need: linux/netfilter/nf_tables.h."""


class Router:
    """A host that does not forward, with two uplinks, to a and b, and a bridge that has a port to c."""

    def __init__(self, made: list[Namespace], stack: ExitStack) -> None:
        self.host, self.a, self.b, self.c = made
        self.route = stack.enter_context(self.host.route())
        self.filter = stack.enter_context(self.host.filter())
        self.host.set("ipv6/conf/default/accept_dad", "0")  # else link-local addresses wait for a second
        for number, (there, name) in enumerate(((self.a, "up-a"), (self.b, "up-b"), (self.c, "cable")), 1):
            if name == "cable":
                self.bridge = link.add_bridge(self.route, "br0", "02:42:00:00:00:01")
                link.add_veth(self.route, name, self.bridge, there.pid, "eth0", "")
                self.address("br0", f"10.0.{number}.1", f"fd0{number}::1")
            else:
                veth(self.host, name, f"10.0.{number}.1", 24, there, "eth0", f"10.0.{number}.2")
                self.address(name, "", f"fd0{number}::1")
            with there.route() as sock:
                end = link.index(sock, "eth0")
                link.add_address(sock, end, f"fd0{number}::2", 64)
                if name == "cable":
                    link.add_address(sock, end, f"10.0.{number}.2", 24)
                    link.set_up(sock, end)
                for gateway in (f"10.0.{number}.1", f"fd0{number}::1"):
                    link.add_route(sock, end, gateway)
        for setting in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            self.host.set(setting, "0")
        rules.ensure(self.filter)

    def address(self, name: str, *addresses: str) -> None:
        for address in filter(None, addresses):
            link.add_address(self.route, link.index(self.route, name), address, 64 if ":" in address else 24)

    def switch_on(self, *versions: int) -> None:
        for version in versions:
            self.host.call(lambda version=version: forwarding.switch_on(self.route, self.filter, version))

    def restore(self) -> list[str]:
        return self.host.call(lambda: forwarding.restore(self.route, self.filter))

    def is_on(self, version: int) -> bool:
        return self.host.call(lambda: forwarding.is_on(version))

    def flows(self, version: int) -> list[bool]:
        """Whether a reaches b, c reaches a, and a reaches c."""
        prefix = {4: "10.0.{}.2", 6: "fd0{}::2"}[version]
        with ExitStack() as stack:
            wanted = []
            for client, server, number in ((self.a, self.b, 2), (self.c, self.a, 1), (self.a, self.c, 3)):
                wanted.append((client, prefix.format(number), 80, stack.enter_context(server.listen("::", 80))))
            return list(map(bool, connect(wanted, patience=0.4)))


@pytest.fixture
def router() -> Iterator[Router]:
    with namespaces(4) as made, ExitStack() as stack:
        yield Router(made, stack)


@pytest.mark.parametrize("version", [4, 6])
def test_forwarding_is_switched_on_for_bridges_only(router: Router, version: int) -> None:
    assert router.flows(version) == [False, False, False]
    router.switch_on(version, version)
    assert router.flows(version) == [False, True, True]
    assert [forwarding.is_ours(router.filter, each) for each in (4, 6)] == [version == 4, version == 6]
    chain = f"closed{version}"
    assert len(tables.rules(router.filter, f"inet {rules.TABLE}", chain)) == 3
    deletion = nft.request("delete chain", rules.TABLE, chain, DELCHAIN, 0, netlink.text(3, chain))
    nft.run(router.filter, [deletion])
    assert router.flows(version) == [True, True, True], "whoever wants a router deletes the chain"


def test_forwarding_that_was_on_is_nobodys_to_close_or_switch_off(router: Router) -> None:
    router.host.set("ipv4/ip_forward", "1")
    router.switch_on(4)
    assert router.flows(4) == [True, True, True]
    assert not forwarding.is_ours(router.filter, 4)
    link.remove(router.route, "br0")
    assert router.restore() == []
    assert router.is_on(4)


def test_forwarding_is_switched_off_if_no_bridge_is_left(router: Router) -> None:
    router.switch_on(4, 6)
    assert router.restore() == ["br0"]
    assert router.is_on(4)
    assert router.is_on(6)
    link.remove(router.route, "br0")
    for _ in range(2):
        assert router.restore() == []
        assert not router.is_on(4)
        assert not router.is_on(6)


def test_an_uplink_goes_on_to_hear_router_advertisements(router: Router) -> None:
    def accepted(name: str) -> str:
        return router.host.call(lambda: kernelfile.read(f"/proc/sys/net/ipv6/conf/{name}/accept_ra"))

    for name in ("up-a", "up-b", "br0"):
        router.host.set(f"ipv6/conf/{name}/accept_ra", "1")
    uplink = link.index(router.route, "up-a")
    link.add_route(router.route, uplink, "fd01::2")
    assert link.default_links(router.route, socket.AF_INET6) == {uplink}
    router.switch_on(4)
    assert accepted("up-a") == "1", "IPv4 has no router advertisements"
    router.switch_on(6)
    assert [accepted(name) for name in ("up-a", "up-b", "br0")] == ["2", "1", "1"]
    for setting, value in (("conf/up-a/accept_ra", "1"), ("conf/all/forwarding", "0")):
        router.host.set(f"ipv6/{setting}", value)
    router.switch_on(6)
    assert accepted("up-a") == "2"
    link.remove(router.route, "br0")
    assert router.restore() == []
    assert accepted("up-a") == "1"
