"""Links, addresses and routes by netlink, as ip(8) sees them."""

from __future__ import annotations

import errno
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pyctr_lite.networks import link
from tests.conftest import SLOWNESS
from tests.networks.topology import Namespace, namespaces

MAC = "02:42:0a:00:00:02"


@pytest.fixture
def host() -> Iterator[Namespace]:
    with namespaces(1) as (only,):
        yield only


def ip(namespace: Namespace, *words: str) -> list[dict[str, Any]]:
    command = ["nsenter", "-t", str(namespace.pid), "-n", "ip", "-json", *words]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout or "[]")


def test_a_bridge_and_a_veth_pair_are_as_ip_shows_them(host: Namespace) -> None:
    with host.route() as sock, namespaces(1) as (box,):
        bridge = link.add_bridge(sock, "pc-one", "02:42:00:00:00:01", mtu=1400)
        link.add_address(sock, bridge, "10.9.0.1", 24)
        link.add_address(sock, bridge, "fd09::1", 64)
        link.add_veth(sock, "pv1", bridge, box.pid, "eth0", MAC, mtu=1400)
        shown = {str(item["ifname"]): item for item in ip(host, "-d", "address")}
        assert shown["pc-one"]["address"] == "02:42:00:00:00:01"
        assert shown["pc-one"]["linkinfo"]["info_kind"] == "bridge"
        assert {item["local"]: item["prefixlen"] for item in shown["pc-one"]["addr_info"]}.items() >= {
            ("10.9.0.1", 24),
            ("fd09::1", 64),
        }
        assert [item["broadcast"] for item in shown["pc-one"]["addr_info"] if "broadcast" in item] == [
            "10.9.0.255"
        ]
        assert (shown["pv1"]["master"], shown["pv1"]["mtu"]) == ("pc-one", 1400)
        with box.route() as there:
            eth0 = link.index(there, "eth0")
            link.add_address(there, eth0, "10.9.0.2", 24)
            link.set_up(there, eth0)
            link.add_route(there, eth0, "10.9.0.1")
            assert [(item.name, item.mac, item.up) for item in link.links(there)][1:] == [("eth0", MAC, True)]
            assert (eth0, "10.9.0.2", 24) in link.addresses(there)
            assert link.routes(there)[0] == ("10.9.0.0", 24)
        assert ip(box, "route", "show", "default")[0]["gateway"] == "10.9.0.1"
        link.remove(sock, "pv1")
        link.remove(sock, "pv1")
        assert [item["ifname"] for item in ip(box, "link")] == ["lo"]


@pytest.mark.parametrize("prefix", [8, 17, 30, 31, 32])
def test_an_ipv4_address_has_the_broadcast_address_that_ip_gives_it(host: Namespace, prefix: int) -> None:
    with host.route() as sock, namespaces(1) as (other,):
        link.add_address(sock, link.index(sock, "lo"), "10.9.77.2", prefix)
        ip(other, "address", "add", f"10.9.77.2/{prefix}", "broadcast", "+", "dev", "lo")
        ours, theirs = (
            [row for item in ip(each, "-4", "address", "show", "lo") for row in item["addr_info"]]
            for each in (host, other)
        )
        ours, theirs = (
            [row.get("broadcast") for row in rows if row["local"] == "10.9.77.2"] for rows in (ours, theirs)
        )
        assert ours == theirs


def test_both_ends_vanish_with_the_namespace(host: Namespace) -> None:
    with host.route() as sock:
        bridge = link.add_bridge(sock, "pc-one", MAC)
        with namespaces(1) as (box,):
            link.add_veth(sock, "pv1", bridge, box.pid, "eth0", MAC)
        deadline = (
            time.monotonic() + 10 * SLOWNESS
        )  # the kernel removes a namespace a moment after its last process
        while time.monotonic() < deadline:
            if [item.name for item in link.links(sock)] == ["lo", "pc-one"]:
                return
            time.sleep(0.01)
    pytest.fail("the host's end is still there")


@pytest.mark.parametrize(
    ("act", "number", "text"),
    [
        (lambda sock, lo: link.add_bridge(sock, "lo", MAC), errno.EEXIST, "ip link add lo"),
        (lambda sock, lo: link.add_bridge(sock, "sixteen-letters-", MAC), errno.ERANGE, "Attribute failed policy"),
        (lambda sock, lo: link.add_address(sock, lo, "127.0.0.1", 8), errno.EEXIST, "Address already assigned"),
        (lambda sock, lo: link.add_address(sock, lo, "10.0.0.1", 33), errno.EINVAL, "Invalid prefix length"),
        (lambda sock, lo: link.add_route(sock, lo, "10.1.1.1"), errno.ENETUNREACH, "invalid gateway"),
        (lambda sock, lo: link.index(sock, "eth7"), errno.ENODEV, "ip link show eth7"),
    ],
)
def test_an_error_has_the_kernels_own_sentence(
    host: Namespace, act: Callable[..., object], number: int, text: str
) -> None:
    with host.route() as sock, pytest.raises(OSError, match="ip ") as caught:
        act(sock, link.index(sock, "lo"))
    assert caught.value.errno == number
    assert text in str(caught.value)


@pytest.mark.parametrize("wrong", ["", "10.0.0", "10.0.0.256", "fd00::g", "10.0.0.1/24", "a.b.c.d"])
def test_what_is_not_an_address_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="is not an IP address"):
        link.parse(wrong)
