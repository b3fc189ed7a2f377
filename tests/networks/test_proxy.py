"""The proxy of published ports, between network namespaces: a host, a container, and a world behind its uplink."""

from __future__ import annotations

import errno
import hashlib
import os
import resource
import select
import signal
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from pyctr_lite.errors import Conflict
from pyctr_lite.networks import datagrams, link, proxy, published, relay
from pyctr_lite.networks.proxy import Proxy
from tests.conftest import SLOWNESS
from tests.networks.topology import Namespace, namespaces, veth

PATIENCE = 10 * SLOWNESS
CONTAINER = "10.1.0.2"


class Host:
    """A host that publishes ports of a container without an IPv6 address, and does the work of its monitor."""

    def __init__(self, host: Namespace, container: Namespace, world: Namespace) -> None:
        self.namespace, self.container, self.world = host, container, world
        veth(host, "c0", "10.1.0.1", 24, container, "eth0", CONTAINER)
        veth(host, "w0", "192.0.2.1", 24, world, "eth0", "192.0.2.2")
        for namespace, device, address in ((host, "w0", "2001:db8::1"), (world, "eth0", "2001:db8::2")):
            with namespace.route() as sock:
                link.add_address(sock, link.index(sock, device), address, 64)
        self.proxy: Proxy | None = None
        self.failures: list[str] = []
        self.children: list[int] = []

    def publish(self, *ports: tuple[str, str, int]) -> Proxy:
        """Publish ports: protocol, address of the host, and port of host and container."""
        targets = []
        for protocol, host_ip, port in ports:
            sock, _ = self.namespace.call(lambda: published.reserve(protocol, host_ip, port, port))  # noqa: B023
            assert sock is not None
            targets.append((sock, protocol, CONTAINER, port))
        self.proxy = Proxy(targets, self.failures.append, self.fork)
        return self.proxy

    def fork(self) -> int:
        pid = os.fork()
        self.children.append(pid)
        return pid

    def is_called(self, seconds: float = PATIENCE) -> bool:
        """Wait until there is something to do for the monitor, and do it."""
        assert self.proxy is not None
        poller = select.poll()
        poller.register(self.proxy.fileno(), select.POLLIN)
        if not poller.poll(seconds * 1000):
            return False
        self.namespace.call(self.proxy.handle)
        return True

    def connect(self, address: str, port: int, source: Namespace | None = None) -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        client = (source or self.namespace).call(lambda: socket.socket(family, socket.SOCK_STREAM))
        client.settimeout(PATIENCE)
        client.connect((address, port))
        return client

    def close(self) -> None:
        if self.proxy is not None:
            self.proxy.close()
            self.proxy = None


@pytest.fixture
def host() -> Iterator[Host]:
    with namespaces(3) as made:
        host = Host(*made)
        try:
            yield host
        finally:
            host.close()
        assert host.failures == []


def accept(listener: socket.socket) -> socket.socket:
    listener.settimeout(PATIENCE)
    connection, (peer, *_) = listener.accept()
    assert peer == "10.1.0.1", "the container sees the bridge's address"
    connection.settimeout(PATIENCE)
    return connection


def receive(sock: socket.socket) -> bytes:
    """Receive until the end."""
    parts = []
    while part := sock.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def status(pid: int) -> dict[str, str]:
    with open(f"/proc/{pid}/status") as file:
        return {key: value.strip() for key, _, value in (line.partition(":") for line in file)}


def limits(pid: int) -> dict[str, int]:
    with open(f"/proc/{pid}/limits") as file:
        return {line[:26].strip(): int(word) for line in file if (word := line[26:47].strip()).isdigit()}


def processor_time(pid: int) -> int:
    """Return hundredths of a second."""
    with open(f"/proc/{pid}/stat") as file:
        return sum(map(int, file.read().rpartition(")")[2].split()[11:13]))


@pytest.mark.parametrize("who", ["host by ::1", "world by IPv6", "host by IPv4 without rules"])
def test_a_container_without_ipv6_is_reached(host: Host, who: str) -> None:
    host.publish(("tcp", "", 8080))
    source = host.world if who.startswith("world") else host.namespace
    address = {"host by ::1": "::1", "world by IPv6": "2001:db8::1"}.get(who, "127.0.0.1")
    with host.container.listen("0.0.0.0", 8080) as listener, host.connect(address, 8080, source) as client:
        client.sendall(b"question")
        assert host.is_called()
        with accept(listener) as server:
            assert server.recv(100) == b"question"
            server.sendall(b"answer")
            assert client.recv(100) == b"answer"
            with host.connect(address, 8080, source) as second:
                second.sendall(b"more")
                with accept(listener) as other:
                    assert other.recv(100) == b"more"
    assert len(host.children) == 1, "one process serves all"
    assert not host.is_called(0)


def test_each_side_may_end_its_data_and_go_on_receiving(host: Host) -> None:
    host.publish(("tcp", "", 8080))
    for first_is_client in (True, False):
        with host.container.listen("0.0.0.0", 8080) as listener, host.connect("::1", 8080) as client:
            if first_is_client:
                assert host.is_called()
            with accept(listener) as server:
                first, second = (client, server) if first_is_client else (server, client)
                first.sendall(b"all I have")
                first.shutdown(socket.SHUT_WR)
                assert receive(second) == b"all I have"
                second.sendall(b"thank you")
                assert first.recv(100) == b"thank you"
                second.shutdown(socket.SHUT_WR)
                assert first.recv(1) == b""


@pytest.mark.parametrize("by_client", [True, False])
def test_a_reset_is_passed_on(host: Host, by_client: bool) -> None:
    host.publish(("tcp", "", 8080))
    with host.container.listen("0.0.0.0", 8080) as listener, host.connect("::1", 8080) as client:
        assert host.is_called()
        with accept(listener) as server:
            one, other = (client, server) if by_client else (server, client)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            one.close()
            with pytest.raises(ConnectionResetError):
                other.recv(1)


def test_a_port_where_nothing_listens_in_the_container_resets_the_client(host: Host) -> None:
    host.publish(("tcp", "", 8080))
    with host.connect("::1", 8080) as client:
        assert host.is_called()
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_50_megabytes_arrive_unchanged_in_both_directions(host: Host) -> None:
    host.publish(("tcp", "", 8080))
    block = os.urandom(1 << 20)
    with host.container.listen("0.0.0.0", 8080) as listener, host.connect("::1", 8080) as client:
        assert host.is_called()
        with accept(listener) as server:
            began = time.perf_counter()
            sent = {sock: hashlib.sha1() for sock in (client, server)}
            got = {sock: hashlib.sha1() for sock in (client, server)}
            left = dict.fromkeys(sent, 50 << 20)
            ended = set()
            for sock in sent:
                sock.setblocking(False)
            while len(ended) < 2:
                readable, writable, _ = select.select(
                    [*set(sent) - ended], [s for s in left if left[s]], [], PATIENCE
                )
                assert readable or writable, "nothing arrives"
                for sock in readable:
                    data = sock.recv(1 << 18)
                    got[sock].update(data)
                    if not data:
                        ended.add(sock)
                for sock in writable:
                    start = (50 << 20) - left[sock] & (1 << 20) - 1
                    count = sock.send(memoryview(block)[start : start + min(left[sock], 1 << 18)])
                    sent[sock].update(memoryview(block)[start : start + count])
                    left[sock] -= count
                    if not left[sock]:
                        sock.shutdown(socket.SHUT_WR)
            print(f"{100 / (time.perf_counter() - began):.0f} MB/s")
    assert got[server].digest() == sent[client].digest()
    assert got[client].digest() == sent[server].digest()


def test_a_container_that_does_not_read_stops_its_client_and_no_other(host: Host) -> None:
    host.publish(("tcp", "", 8080))
    with ExitStack() as stack:
        listener = stack.enter_context(host.container.listen("0.0.0.0", 8080))
        flood = stack.enter_context(host.connect("::1", 8080))
        assert host.is_called()
        silent = stack.enter_context(accept(listener))
        flood.setblocking(False)
        taken, quiet = 0, select.poll()
        quiet.register(flood, select.POLLOUT)
        while quiet.poll(100):
            taken += flood.send(bytes(1 << 16))
            assert taken < 64 << 20, "all is taken"
        client = stack.enter_context(host.connect("::1", 8080))
        server = stack.enter_context(accept(listener))
        client.sendall(b"here")
        assert server.recv(100) == b"here"
        before = processor_time(host.children[0])
        quiet.poll(200)
        assert processor_time(host.children[0]) - before <= 2, "it must wait, not try again and again"
        silent.setblocking(True)
        count = 0
        while count < taken:
            count += len(silent.recv(1 << 20))
        assert count == taken


def datagram_client(namespace: Namespace, family: int = socket.AF_INET6) -> socket.socket:
    client = namespace.call(lambda: socket.socket(family, socket.SOCK_DGRAM))
    client.settimeout(PATIENCE)
    return client


def datagram_server(namespace: Namespace, port: int) -> socket.socket:
    server = datagram_client(namespace, socket.AF_INET)
    server.bind(("0.0.0.0", port))
    return server


@pytest.mark.parametrize("host_ip", ["", "::", "2001:db8::1", "192.0.2.1"])
def test_datagrams_come_back_from_the_address_that_they_were_sent_to(host: Host, host_ip: str) -> None:
    with host.world.route() as sock:
        link.add_route(sock, link.index(sock, "eth0"), "2001:db8::1", "2001:db8:1::", 64)
    with host.namespace.route() as sock:
        link.add_address(sock, link.index(sock, "lo"), "2001:db8:1::1", 128)
    host.publish(("udp", host_ip, 5353))
    calls = {
        "": [(host.namespace, "::1"), (host.world, "2001:db8::1"), (host.world, "2001:db8:1::1"),
             (host.namespace, "127.0.0.1"), (host.world, "192.0.2.1")],
        "::": [(host.namespace, "::1"), (host.world, "2001:db8:1::1")],
        "2001:db8::1": [(host.world, "2001:db8::1")],
        "192.0.2.1": [(host.world, "192.0.2.1")],
    }[host_ip]  # fmt: skip
    with datagram_server(host.container, 5353) as server, ExitStack() as stack:
        sources = set()
        for number, (source, address) in enumerate(calls):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            client = stack.enter_context(datagram_client(source, family))
            for word in (b"question", b"another", b""):
                client.sendto(word, (address, 5353))
                if number == 0 and word == b"question":
                    assert host.is_called()
                data, peer = server.recvfrom(100)
                assert (data, peer[0]) == (word, "10.1.0.1")
                sources.add(peer)
                server.sendto(b"answer " + data, peer)
                answer, answerer = client.recvfrom(100)
                assert (answer, answerer[:2]) == (b"answer " + word, (address, 5353))
        assert len(sources) == len(calls), "one socket for each client"
    assert len(host.children) == 1


def test_a_datagram_that_the_container_refuses_does_not_end_the_proxy(host: Host) -> None:
    host.publish(("udp", "", 5353))
    with datagram_client(host.namespace) as client:
        client.sendto(b"too early", ("::1", 5353))
        assert host.is_called()
        with datagram_server(host.container, 5353) as server:
            client.settimeout(0.05)
            for _ in range(100):
                client.sendto(b"again", ("::1", 5353))
                if select.select([server], [], [], 0.05)[0]:
                    break
            data, peer = server.recvfrom(100)
            assert data in (b"again", b"too early")
            server.sendto(b"heard", peer)
            client.settimeout(PATIENCE)
            assert client.recv(100) == b"heard"


def test_a_proxy_with_nothing_to_do_ends_and_the_next_call_starts_another_one(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "IDLE", 0.05)
    monkeypatch.setattr(datagrams, "LIFETIME", 0.05)
    host.publish(("tcp", "", 8080), ("udp", "", 5353))
    with host.container.listen("0.0.0.0", 8080) as listener, datagram_server(host.container, 5353) as server:
        for number in (1, 2):
            with host.connect("::1", 8080) as client:
                assert host.is_called()
                with accept(listener) as connection:
                    assert not host.is_called(0.2), "it ended in the midst of a connection"
                    client.sendall(b"late")
                    assert connection.recv(100) == b"late"
            assert host.is_called(), "the child does not end"
            with datagram_client(host.namespace) as client:
                client.sendto(b"hello", ("::1", 5353))
                assert host.is_called()
                assert server.recv(100) == b"hello"
            assert host.is_called(), "the child does not end"
            assert len(host.children) == 2 * number
        assert not host.is_called(0.05)


def test_the_proxys_process_has_neither_rights_nor_descriptors_of_the_monitor(host: Host) -> None:
    host.publish(("tcp", "", 8080), ("udp", "", 5353))
    with host.container.listen("0.0.0.0", 8080) as listener, host.connect("::1", 8080):
        assert host.is_called()
        with accept(listener):
            (child,) = host.children
            found = status(child)
            assert found["Uid"].split() == found["Gid"].split() == ["65534"] * 4
            assert found["Groups"] == ""
            for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                assert int(found[kind], 16) == 0
            assert found["NoNewPrivs"] == "1"
            descriptors = [os.readlink(f"/proc/{child}/fd/{fd}") for fd in os.listdir(f"/proc/{child}/fd")]
            others = [name for name in descriptors if not name.startswith(("socket:", "pipe:", "anon_inode:"))]
            assert sum(name.startswith("socket:") for name in descriptors) == 4
            assert len(others) <= 3, "stdin, stdout and stderr at most"
            found_limits = limits(child)
            assert found_limits["Max processes"] == found_limits["Max core file size"] == 0
            assert found_limits["Max data size"] == 128 << 20
            assert found_limits["Max open files"] <= relay.MAX_DESCRIPTORS + 1024


def test_a_flood_of_connections_resets_those_idle_for_the_longest_time(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "MAX_CONNECTIONS", 4)
    host.publish(("tcp", "", 8080))
    with ExitStack() as stack:
        listener = stack.enter_context(host.container.listen("0.0.0.0", 8080))
        pairs = []
        for number in range(6):
            client = stack.enter_context(host.connect("::1", 8080))
            if number == 0:
                assert host.is_called()
            server = stack.enter_context(accept(listener))
            pairs.append((client, server))
            pairs[0][0].sendall(b"busy")
            assert pairs[0][1].recv(100) == b"busy"
        for number, (client, _) in enumerate(pairs):
            gone = number in (1, 2)
            assert bool(select.select([client], [], [], 0)[0]) == gone, number
            if gone:
                with pytest.raises(ConnectionResetError):
                    client.recv(1)


def test_a_flood_of_clients_forgets_those_idle_for_the_longest_time(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datagrams, "MAX_FLOWS", 4)
    host.publish(("udp", "", 5353))
    with datagram_server(host.container, 5353) as server, ExitStack() as stack:
        for number in range(12):
            client = stack.enter_context(datagram_client(host.namespace))
            client.sendto(b"x", ("::1", 5353))
            if number == 0:
                assert host.is_called()
            server.recv(100)
        (child,) = host.children
        names = [os.readlink(f"/proc/{child}/fd/{fd}") for fd in os.listdir(f"/proc/{child}/fd")]
        assert sum(name.startswith("socket:") for name in names) == 1 + 4


def test_the_end_of_the_container_ends_the_proxy_and_frees_the_port(host: Host) -> None:
    before = len(os.listdir("/proc/self/fd"))
    host.publish(("tcp", "", 8080))
    with host.container.listen("0.0.0.0", 8080) as listener, host.connect("::1", 8080) as client:
        assert host.is_called()
        with accept(listener) as server:
            began = time.perf_counter()
            host.close()
            took = time.perf_counter() - began
            with pytest.raises(ProcessLookupError):
                os.kill(host.children[0], 0)
            for sock in (client, server):
                try:
                    assert sock.recv(1) == b""
                except ConnectionResetError:
                    pass
    assert len(os.listdir("/proc/self/fd")) == before
    host.namespace.call(lambda: published.reserve("tcp", "", 8080, 8080))[0].close()  # type: ignore[union-attr]
    assert took < 0.1 * SLOWNESS


def test_the_death_of_the_monitor_ends_the_proxy(host: Host) -> None:
    reader, writer = os.pipe()
    monitor = os.fork()
    if monitor == 0:
        try:
            os.close(reader)
            host.publish(("tcp", "", 8080))
            os.write(writer, b"1")
            host.is_called()
            signal.pause()
        finally:
            os._exit(0)
    os.close(writer)
    assert os.read(reader, 1) == b"1"
    with host.container.listen("0.0.0.0", 8080) as listener, host.connect("::1", 8080) as client, accept(listener):
        os.kill(monitor, signal.SIGKILL)
        os.waitpid(monitor, 0)
        try:
            assert client.recv(1) == b""
        except ConnectionResetError:
            pass
    os.close(reader)
    host.namespace.call(lambda: published.reserve("tcp", "", 8080, 8080))[0].close()  # type: ignore[union-attr]


def test_a_child_that_fails_is_reported_and_the_next_one_starts_a_moment_later(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "serve", lambda _: 1 // 0)
    monkeypatch.setattr(proxy, "_RETRY", 0.2)
    host.publish(("tcp", "", 8080))
    with host.container.listen("0.0.0.0", 8080) as listener, host.connect("::1", 8080) as client:
        began = time.monotonic()
        assert host.is_called()
        assert host.is_called()
        (failure,) = host.failures
        assert "ZeroDivisionError" in failure
        monkeypatch.undo()
        assert not host.is_called(0.1), "it must wait, not try again and again"
        while len(host.children) < 2:
            assert host.is_called()
        assert time.monotonic() - began >= 0.2
        client.sendall(b"still there")
        with accept(listener) as server:
            assert server.recv(100) == b"still there"
    host.failures.clear()


def test_a_monitor_that_cannot_fork_tries_again(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxy, "_RETRY", 0.2)
    publisher = host.publish(("tcp", "", 8080))
    attempts = []

    def fork() -> int:
        attempts.append(1)
        raise OSError(errno.EAGAIN, "no more processes")

    publisher._fork = fork
    with host.connect("::1", 8080):
        assert host.is_called()
        assert not host.is_called(0.1), "it must wait, not try again and again"
        assert len(attempts) == 1
        while len(attempts) < 2:
            assert host.is_called()


def test_a_thousand_ports_cost_the_monitor_three_descriptors_more(host: Host) -> None:

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    try:
        before = len(os.listdir("/proc/self/fd"))
        ports = [("tcp", "", port) for port in range(2000, 3000)]
        began = time.perf_counter()
        host.publish(*ports)
        took = time.perf_counter() - began
        assert len(os.listdir("/proc/self/fd")) - before == 1000 + 3
        with host.container.listen("0.0.0.0", 2999) as listener, host.connect("::1", 2999) as client:
            began = time.perf_counter()
            assert host.is_called()
            client.sendall(b"x")
            with accept(listener) as server:
                assert server.recv(1) == b"x"
            called = time.perf_counter() - began
        print(f"{took * 1000:.0f} ms to publish, {called * 1000:.0f} ms to the first answer")
        assert took < 0.5 * SLOWNESS
        host.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_port_of_a_server_of_the_host_is_not_taken_from_it(host: Host) -> None:
    with host.namespace.listen("127.0.0.1", 8080), pytest.raises(Conflict):
        host.publish(("tcp", "", 8080))
