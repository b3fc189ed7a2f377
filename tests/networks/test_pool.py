"""Subnets and addresses: nothing is given twice, and nothing outside."""

from __future__ import annotations

import ipaddress
import multiprocessing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyctr_lite.errors import Conflict, InvalidArgument
from pyctr_lite.networks import pool
from pyctr_lite.networks.pool import Addresses, Subnet

networks = st.one_of(
    st.builds(
        lambda a, p: ipaddress.ip_network((a, p), strict=False), st.integers(0, 2**32 - 1), st.integers(0, 32)
    ),
    st.builds(
        lambda a, p: ipaddress.ip_network((a, p), strict=False),
        st.integers(2**32, 2**128 - 1),
        st.integers(0, 128),
    ),
)


@given(networks, networks)
def test_subnets_are_those_of_the_module_ipaddress(
    one: ipaddress.IPv4Network, other: ipaddress.IPv4Network
) -> None:
    subnet = Subnet(str(one))
    assert str(subnet) == str(one)
    assert (subnet.first, subnet.size) == (int(one.network_address), one.num_addresses)
    same = one.version == other.version
    assert subnet.overlaps(Subnet(str(other))) == (same and one.overlaps(other))
    hosts = subnet.hosts()
    if one.version == 4 and one.prefixlen <= 30:
        assert (hosts[0], hosts[-1]) == (int(one[1]), int(one[-2]))


@pytest.mark.parametrize(
    "wrong",
    ["", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0/8", "fd00::/129", "a/8", "10.0.0.0/ 8"],
)
def test_what_is_not_a_subnet_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid subnet"):
        Subnet(wrong)


def test_the_default_subnets_are_given_in_order_and_never_over_a_hosts_own(tmp_path: Path) -> None:
    assert str(pool.choose([])) == "172.17.0.0/16"
    assert str(pool.choose([Subnet("172.17.5.0/24"), Subnet("fd00::/8")])) == "172.18.0.0/16"
    assert str(pool.choose([Subnet("172.16.0.0/12")])) == "192.168.0.0/20"
    with pytest.raises(Conflict, match="fully subnetted"):
        pool.choose([Subnet("0.0.0.0/0")])


def test_addresses_are_taken_from_the_lowest_and_given_back(tmp_path: Path) -> None:
    addresses = Addresses(str(tmp_path / "a"), Subnet("10.0.0.0/29"), None, ["10.0.0.1"])
    assert [addresses.take(f"c{number}") for number in range(3)] == ["10.0.0.2", "10.0.0.3", "10.0.0.4"]
    addresses.release("10.0.0.3", "somebody else")
    assert addresses.owners()["10.0.0.3"] == "c1"
    addresses.release("10.0.0.3", "c1")
    addresses.release("10.0.0.3", "c1")
    assert addresses.take("c9") == "10.0.0.3"
    assert addresses.take("c5", "10.0.0.6") == "10.0.0.6"
    for wanted in ("10.0.0.6", "10.0.0.1", "10.0.0.0", "10.0.0.7"):
        with pytest.raises(Conflict, match="Address already in use"):
            addresses.take("c7", wanted)
    for wanted in ("10.0.0.8", "fd00::1", "10.0.0", ""):
        if wanted:
            with pytest.raises(InvalidArgument, match=r"not in the subnet|invalid IP address"):
                addresses.take("c7", wanted)
    assert addresses.take("c6") == "10.0.0.5"
    with pytest.raises(Conflict, match="no available addresses"):
        addresses.take("c8")
    assert (tmp_path / "a/10.0.0.2").read_text() == "c0"


def test_a_range_limits_the_addresses_that_are_chosen(tmp_path: Path) -> None:
    addresses = Addresses(str(tmp_path), Subnet("10.0.0.0/24"), Subnet("10.0.0.128/30"), ["10.0.0.1"])
    assert [addresses.take("c") for _ in range(4)] == [f"10.0.0.{number}" for number in range(128, 132)]
    with pytest.raises(Conflict, match=r"10\.0\.0\.128/30"):
        addresses.take("c")
    assert addresses.take("c", "10.0.0.9") == "10.0.0.9"


def take(directory: str, owner: int) -> str:
    return Addresses(directory, Subnet("10.0.0.0/24"), None, ["10.0.0.1"]).take(str(owner))


def test_fifty_at_once_get_fifty_addresses(tmp_path: Path) -> None:
    with multiprocessing.Pool(8) as processes:
        taken = processes.starmap(take, [(str(tmp_path), owner) for owner in range(50)])
    assert sorted(taken, key=ipaddress.ip_address) == [f"10.0.0.{number}" for number in range(2, 52)]


def test_a_mac_address_follows_from_the_address() -> None:
    assert pool.mac_of("172.17.0.2") == "02:42:ac:11:00:02"
