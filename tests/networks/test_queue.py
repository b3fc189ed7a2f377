"""Limits of rates, measured by what arrives over TCP."""

from __future__ import annotations

import select
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from pyctr_lite.errors import PyctrError
from pyctr_lite.networks import guard, link, nft, queue, rules
from tests.networks.topology import Namespace, namespaces, veth

MBIT = 125_000


@pytest.fixture
def ends() -> Iterator[tuple[Namespace, Namespace]]:
    with namespaces(2) as (host, box):
        veth(host, "v0", "10.0.0.1", 24, box, "eth0", "10.0.0.2")
        yield host, box


def measure(
    source: Namespace, target: Namespace, address: str, name: str, start: float = 0.1, seconds: float = 0.3
) -> float:
    """Return the bytes per second that arrive at a link while a TCP connection sends all it can.

    After `start` seconds, for so many. What the receiver reads is less even: it waits for lost packets.
    """
    with ExitStack() as stack:
        listener = stack.enter_context(target.listen("0.0.0.0", 5001))
        sender = stack.enter_context(source.call(socket.socket))
        sender.connect((address, 5001))
        receiver = stack.enter_context(listener.accept()[0])
        sender.setblocking(False)
        data = bytes(1 << 17)

        def send(seconds: float) -> None:
            end = time.perf_counter() + seconds
            while (left := end - time.perf_counter()) > 0:
                readable, writable, _ = select.select([receiver], [sender], [], left)
                if writable:
                    sender.send(data)
                if readable:
                    receiver.recv(1 << 20)

        send(start)
        before, began = received(target, name), time.perf_counter()
        send(seconds)
        return (received(target, name) - before) / (time.perf_counter() - began)


def received(namespace: Namespace, name: str) -> int:
    with open(f"/proc/{namespace.pid}/net/dev") as file:
        (line,) = [line for line in file if line.strip().startswith(f"{name}:")]
    return int(line.split(":")[1].split()[0])


def number(namespace: Namespace, name: str) -> int:
    with namespace.route() as sock:
        return link.index(sock, name)


@pytest.mark.parametrize("mbit", [1, 20, 1000])
def test_both_directions_have_their_rate_within_a_tenth(ends: tuple[Namespace, Namespace], mbit: int) -> None:
    """With GSO: the packets of 64 KiB that TCP makes are larger than the burst of the slow ones."""
    host, box = ends
    for source, target, name, there, address in (
        (host, box, "v0", "eth0", "10.0.0.2"),
        (box, host, "eth0", "v0", "10.0.0.1"),
    ):
        with source.route() as sock:
            queue.limit(sock, number(source, name), mbit * MBIT)
            measured = measure(source, target, address, there)
            assert measured == pytest.approx(mbit * MBIT, rel=0.1)


def test_the_guard_limits_what_a_container_sends_without_a_queue(needs: Callable[[str], str]) -> None:
    with namespaces(2) as (host, box), host.route() as sock, host.filter() as filter:
        bridge = link.add_bridge(sock, "pc-one", "02:42:00:00:00:01")
        link.add_address(sock, bridge, "10.0.0.1", 24)
        link.add_veth(sock, "pv-1", bridge, box.pid, "eth0", "")
        with box.route() as there:
            end = link.index(there, "eth0")
            link.add_address(there, end, "10.0.0.2", 24)
            link.set_up(there, end)
        guard.remove_all(filter)
        assert guard.names(filter) == []
        guard.add(filter, "pv-2", MBIT)
        for rate in (10 * MBIT, 20 * MBIT):
            guard.add(filter, "pv-1", rate)
        # TCP may lose all it has sent when the burst ends. It tries again after 0.2 s, then 0.4 s, and so on.
        measured = measure(box, host, "10.0.0.1", "pc-one", start=1, seconds=2)
        assert 6 * MBIT < measured < 22 * MBIT, "TCP must find the rate, after a burst that the guard lets pass"
        command = ["nsenter", "-t", str(host.pid), "-n", needs("nft"), "list", "table", *guard.TABLE.split()]
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        for line in ("rate over 2500000 bytes/second", '"pv-1" : "pv-1"', "limit name iifname map @rates drop"):
            assert line in shown
        guard.remove(filter, "pv-1")
        guard.remove(filter, "pv-1")
        assert guard.names(filter) == ["pv-2"]
        assert measure(box, host, "10.0.0.1", "pc-one") > 60 * MBIT
        guard.sweep(filter, {"pv-1"})
        assert guard.names(filter) == []
        guard.remove_all(filter)
        guard.remove_all(filter)


def test_a_table_of_limits_of_the_first_version_is_renewed_and_keeps_its_limits(
    needs: Callable[[str], str],
) -> None:
    """It had no version. A rule of it that is not among the present ones goes."""
    with namespaces(1) as (host,), host.filter() as filter:

        def content() -> str:
            command = host.enter(needs("nft"), "list", "table", *guard.TABLE.split())
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout

        guard.add(filter, "pv-1", MBIT)
        present = content()
        nft.run(filter, [nft.flush_set(guard.TABLE, "version")])
        nft.run(filter, [nft.add_rule(guard.TABLE, "prerouting", "drop", nft.verdict(nft.DROP))])
        guard.ensure(filter)
        assert content() == present
        nft.run(filter, [nft.delete_table(guard.TABLE)])
        guard.add(filter, "pv-1", MBIT)
        assert content() == present


def test_a_table_of_limits_that_no_version_has_made_is_replaced(needs: Callable[[str], str]) -> None:
    with namespaces(1) as (host,), host.filter() as filter:
        foreign = "add set bridge pyctr_lite rates { type ipv4_addr; elements = { 10.0.0.1 }; }"
        command = host.enter(needs("nft"), f"add table {guard.TABLE}; {foreign}")
        subprocess.run(command, check=True)
        guard.sweep(filter, {"pv-1"})
        guard.add(filter, "pv-1", MBIT)
        assert guard.names(filter) == ["pv-1"]
        assert rules.version(filter, guard.TABLE) == guard.VERSION


def test_a_table_of_limits_of_a_newer_version_stays_and_an_unknown_one_is_named() -> None:
    with namespaces(1) as (host,), host.filter() as filter:
        guard.add(filter, "pv-1", MBIT)
        newer = rules.mark(guard.TABLE, guard.VERSION + 1)
        nft.run(filter, [nft.flush_set(guard.TABLE, "version"), newer])
        guard.add(filter, "pv-2", MBIT)
        assert sorted(guard.names(filter)) == ["pv-1", "pv-2"]
        nft.run(filter, [nft.delete_table(guard.TABLE), nft.add_table(guard.TABLE)])
        nft.run(filter, [nft.add_set(guard.TABLE, "version", 1, (nft.MARK,)), newer])
        with pytest.raises(PyctrError, match="the table bridge pyctr_lite is of a newer version"):
            guard.add(filter, "pv-1", MBIT)
        assert rules.version(filter, guard.TABLE) == guard.VERSION + 1


def test_tc_shows_the_same_queue(ends: tuple[Namespace, Namespace], needs: Callable[[str], str]) -> None:
    host, _ = ends
    command = ["nsenter", "-t", str(host.pid), "-n", needs("tc"), "qdisc", "show", "dev", "v0"]
    with host.route() as sock:
        index = number(host, "v0")
        assert queue.get(sock, index) is None
        for rate, shown in ((20 * MBIT, "rate 20Mbit burst 10000b lat 100ms"), (10**10, "rate 80Gbit burst")):
            queue.limit(sock, index, rate)
            found = queue.get(sock, index)
            assert found is not None
            assert found.rate == rate
            assert shown in subprocess.run(command, capture_output=True, text=True, check=True).stdout
        queue.limit(sock, index, 20 * MBIT, burst=30_000)
        assert "burst 30000b" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
        queue.remove(sock, index)
        queue.remove(sock, index)
        assert queue.get(sock, index) is None


def test_a_link_that_does_not_exist(ends: tuple[Namespace, Namespace]) -> None:
    with ends[0].route() as sock:
        queue.remove(sock, 999)
        with pytest.raises(OSError, match="tc qdisc replace dev 999"):
            queue.limit(sock, 999, MBIT)
