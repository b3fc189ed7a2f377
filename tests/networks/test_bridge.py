"""Networks as a whole: a record, a bridge, containers plugged into it; repeated, interrupted, overlapping."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyctr_lite.errors import Conflict, InvalidArgument, NotFound
from pyctr_lite.networks import bridge, link, nft, pool, rules, store
from pyctr_lite.networks.pool import Subnet
from pyctr_lite.networks.store import Network, NetworkStore
from tests.networks.topology import Namespace, connect, namespaces, veth


@pytest.fixture
def networks(tmp_path: Path) -> NetworkStore:
    return NetworkStore(str(tmp_path))


@pytest.fixture
def host() -> Iterator[Namespace]:
    with namespaces(1) as (only,):
        yield only


def create(networks: NetworkStore, name: str = "red", *given: tuple[str, str, str], **more: object) -> Network:
    def subnets(others: list[Network]) -> store.Rows:
        taken = [Subnet(row[0]) for other in others for row in other.subnets]
        return store.rows(list(given), lambda: pool.choose(taken))

    return networks.create(name, subnets, **more)


def test_a_network_is_found_by_name_id_and_the_beginning_of_its_id(networks: NetworkStore) -> None:
    red, blue = create(networks), create(networks, "blue")
    assert [network.name for network in networks.list()] == ["blue", "red"]
    for reference in ("red", red.id, red.id[:6]):
        assert networks.get(reference).to_json() == red.to_json()
    assert (red.subnets, blue.subnets) == (
        [("172.17.0.0/16", "172.17.0.1", "")],
        [("172.18.0.0/16", "172.18.0.1", "")],
    )
    networks.remove(red)
    networks.remove(red)
    for reference in ("red", ""):
        with pytest.raises(NotFound, match="not found"):
            networks.get(reference)
    assert create(networks).subnets == [("172.17.0.0/16", "172.17.0.1", "")]
    with pytest.raises(Conflict, match="network with name red already exists"):
        create(networks)


@pytest.mark.parametrize("name", ["", "-a", "a b", "a/b", "ä", "a\n", ".x"])
def test_a_name_that_is_not_one_is_refused(networks: NetworkStore, name: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid name"):
        create(networks, name)
    assert networks.list() == []


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("10.0.0.0/24", "10.0.1.1", ""), "is not in the subnet"),
        (("10.0.0.0/24", "", "10.0.1.0/25"), "is not a part of the subnet"),
        (("10.0.0.0/24", "", "10.0.0.0/16"), "is not a part of the subnet"),
        (("10.0.0/24", "", ""), "invalid subnet"),
        (("224.0.0.0/8", "", ""), "has a meaning of its own"),
        (("ff00::/8", "", ""), "has a meaning of its own"),
        (("::ffff:10.0.0.0/104", "", ""), "has a meaning of its own"),
        (("10.0.0.0/32", "", ""), "no address for a container"),
        (("fd00::1/128", "", ""), "no address for a container"),
        (("10.0.0.0/24", "10.0.0.255", ""), "invalid gateway"),
        (("10.0.0.0/24", "10.0.0.0", ""), "invalid gateway"),
    ],
)
def test_wrong_addresses_are_refused(networks: NetworkStore, row: tuple[str, str, str], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        create(networks, "red", row)


def test_containers_of_a_network_reach_each_other_and_leave_nothing(
    host: Namespace, networks: NetworkStore
) -> None:
    red = create(networks, "red", ("10.7.0.0/24", "", ""), ("fd07::/64", "", ""))
    one, two = bridge.Address("10.7.0.2", "fd07::2"), bridge.Address("10.7.0.3", "fd07::3")
    with namespaces(2) as (first, second), host.call(bridge.Sockets) as sockets:
        index = host.call(lambda: bridge.ensure(sockets, red))
        host.call(lambda: bridge.plug_in(sockets, red, index, first.pid, "pv-1", "eth0", one))
        began = time.perf_counter()
        host.call(lambda: bridge.plug_in(sockets, red, index, second.pid, "pv-2", "eth0", two))
        assert time.perf_counter() - began < 0.5
        for address, family in (("10.7.0.3", "0.0.0.0"), ("fd07::3", "::")):
            with second.listen(family, 80) as listener:
                assert first.reaches(address, 80, listener)
        rules.publish(sockets.filter, "tcp", "0.0.0.0", 8000, "10.7.0.2", 80)
        with first.listen("0.0.0.0", 80) as listener:
            assert host.reaches("127.0.0.1", 8000, listener)
            assert first.reaches("10.7.0.1", 8000, listener), "its own published port"
        rules.withdraw(sockets.filter, "tcp", "0.0.0.0", 8000)
        for name, address in (("pv-1", one), ("pv-2", two), ("pv-2", two)):
            bridge.unplug(sockets, name, address)
        bridge.remove(sockets, red)
        bridge.remove(sockets, red)
        assert [item.name for item in link.links(sockets.route)] == ["lo"]
        for name in ("bridges", "same", "own4", "own6", "any4"):
            assert nft.elements(sockets.filter, rules.TABLE, name) == []


def test_the_world_reaches_a_container_by_ipv6_at_once(host: Namespace, networks: NetworkStore) -> None:
    red = create(networks, "red", ("10.7.0.0/24", "", ""), ("fd07::/64", "", ""))
    with namespaces(2) as (world, box), host.call(bridge.Sockets) as sockets:
        veth(host, "up0", "fd99::1", 64, world, "eth0", "fd99::2")
        index = host.call(lambda: bridge.ensure(sockets, red))
        host.call(
            lambda: bridge.plug_in(
                *(sockets, red, index, box.pid, "pv-1", "eth0"), bridge.Address("10.7.0.2", "fd07::2")
            )
        )
        rules.publish(sockets.filter, "tcp", "::", 8000, "fd07::2", 80)
        with host.listen("0.0.0.0", 80) as ready:
            assert box.reaches("10.7.0.1", 80, ready), "the cable is up"
        with box.listen("::", 80) as listener:
            assert connect([(world, "fd99::1", 8000, listener)], patience=0.8) == ["fd99::2"]


def test_a_link_that_somebody_brought_down_is_unplugged(host: Namespace, networks: NetworkStore) -> None:
    red, address = create(networks), bridge.Address("172.17.0.2")
    with namespaces(1) as (box,), host.call(bridge.Sockets) as sockets:
        index = host.call(lambda: bridge.ensure(sockets, red))
        host.call(lambda: bridge.plug_in(sockets, red, index, box.pid, "pv-1", "eth0", address))
        link.set_up(sockets.route, link.index(sockets.route, "pv-1"), up=False)
        bridge.unplug(sockets, "pv-1", address, ending=True)
        assert nft.elements(sockets.filter, rules.TABLE, "own4") == []


def test_a_bridge_that_was_made_half_way_is_completed(host: Namespace, networks: NetworkStore) -> None:
    red = create(networks, "red", ("10.7.0.0/24", "", ""))
    with host.call(bridge.Sockets) as sockets:
        link.add_bridge(sockets.route, red.bridge, "02:42:00:00:00:01", up=False)
        index = host.call(lambda: bridge.ensure(sockets, red))
        assert host.call(lambda: bridge.ensure(sockets, red)) == index
        assert (index, "10.7.0.1", 24) in link.addresses(sockets.route)
        assert nft.elements(sockets.filter, rules.TABLE, "bridges") == [
            (red.bridge.encode().ljust(16, b"\0"), b"")
        ]
        assert Subnet("10.7.0.0/24").overlaps(bridge.hosts_subnets(sockets)[-1])


def test_an_internal_network_has_no_default_route(host: Namespace, networks: NetworkStore) -> None:
    inner = create(networks, "inner", internal=True)
    with namespaces(1) as (box,), host.call(bridge.Sockets) as sockets:
        index = host.call(lambda: bridge.ensure(sockets, inner))
        address = bridge.Address("172.17.0.2")
        host.call(lambda: bridge.plug_in(sockets, inner, index, box.pid, "pv-1", "eth0", address))
        with box.route() as there:
            assert ("0.0.0.0", 0) not in link.routes(there)
