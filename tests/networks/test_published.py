"""Ports of the host held for containers, in a network namespace of the test's own."""

from __future__ import annotations

import errno
import os
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest

from pyctr_lite.errors import Conflict, InvalidArgument
from pyctr_lite.networks import link, published
from tests.conftest import SLOWNESS
from tests.networks.topology import Namespace, namespaces


@pytest.fixture
def host() -> Iterator[Namespace]:
    with namespaces(1) as (host,):
        with host.route() as sock:
            link.add_address(sock, link.index(sock, "lo"), "192.0.2.1", 32)
            link.add_address(sock, link.index(sock, "lo"), "2001:db8::1", 128)
        yield host


def reserve(host: Namespace, protocol: str, host_ip: str, first: int, last: int = 0) -> tuple[socket.socket, int]:
    sock, port = host.call(lambda: published.reserve(protocol, host_ip, first, last or first))
    assert sock is not None
    assert sock.getsockname()[1] == port
    return socket.socket(fileno=sock.detach()), port


def serve(host: Namespace, kind: int, address: str, port: int, *options: int) -> socket.socket:
    """Open a socket as a server of the host does."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET

    def serve() -> socket.socket:
        server = socket.socket(family, kind)
        try:
            for option in options:
                server.setsockopt(socket.SOL_SOCKET, option, 1)
            if family == socket.AF_INET6:
                server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            server.bind((address, port))
            if kind == socket.SOCK_STREAM:
                server.listen()
        except BaseException:
            server.close()
            raise
        return server

    return host.call(serve)


KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
OPTIONS = [(), (socket.SO_REUSEADDR,), (socket.SO_REUSEPORT,), (socket.SO_REUSEADDR, socket.SO_REUSEPORT)]


@pytest.mark.parametrize("protocol", KINDS)
@pytest.mark.parametrize(
    ("host_ip", "taken", "free"),
    [
        ("", ["0.0.0.0", "127.0.0.1", "192.0.2.1", "::", "::1", "2001:db8::1"], []),
        ("0.0.0.0", ["0.0.0.0", "127.0.0.1", "192.0.2.1"], ["::", "::1"]),
        ("::", ["::", "::1", "2001:db8::1"], ["0.0.0.0", "127.0.0.1"]),
        ("127.0.0.1", ["0.0.0.0", "127.0.0.1"], ["192.0.2.1", "::", "127.0.0.2"]),
        ("2001:db8::1", ["::", "2001:db8::1"], ["0.0.0.0", "::1"]),
    ],
)
def test_no_server_of_the_host_takes_a_reserved_port(
    host: Namespace, protocol: str, host_ip: str, taken: list[str], free: list[str]
) -> None:
    sock, _ = reserve(host, protocol, host_ip, 8080)
    with sock:
        for options in OPTIONS:
            for address in taken:
                with pytest.raises(OSError, match="in use"):
                    serve(host, KINDS[protocol], address, 8080, *options)
            for address in free:
                serve(host, KINDS[protocol], address, 8080, *options).close()
    serve(host, KINDS[protocol], "0.0.0.0", 8080).close()


@pytest.mark.parametrize("protocol", KINDS)
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize(("host_ip", "address"), [("", "127.0.0.1"), ("", "::1"), ("192.0.2.1", "0.0.0.0")])
def test_a_port_that_a_server_of_the_host_has_is_a_conflict_in_dockers_words(
    host: Namespace, protocol: str, options: tuple[int, ...], host_ip: str, address: str
) -> None:
    with serve(host, KINDS[protocol], address, 8080, *options), pytest.raises(Conflict) as failure:
        reserve(host, protocol, host_ip, 8080)
    shown = host_ip or "0.0.0.0"
    assert failure.value.message == f"failed to bind host port {shown}:8080/{protocol}: address already in use"
    reserve(host, protocol, host_ip, 8080)[0].close()


@pytest.mark.parametrize("protocol", KINDS)
def test_two_containers_cannot_have_one_port(host: Namespace, protocol: str) -> None:
    with reserve(host, protocol, "127.0.0.1", 8080)[0], reserve(host, protocol, "192.0.2.1", 8080)[0]:
        with pytest.raises(Conflict):
            reserve(host, protocol, "", 8080)
        with pytest.raises(Conflict, match=r"192\.0\.2\.1:8080"):
            reserve(host, protocol, "192.0.2.1", 8080)


@pytest.mark.parametrize("protocol", KINDS)
@pytest.mark.parametrize("host_ip", ["", "0.0.0.0", "::1"])
def test_of_a_range_the_first_free_port_is_taken(host: Namespace, protocol: str, host_ip: str) -> None:
    with ExitStack() as stack:
        for expected in (8000, 8001, 8002):
            sock, port = reserve(host, protocol, host_ip, 8000, 8002)
            stack.enter_context(sock)
            assert port == expected
        with pytest.raises(Conflict, match=r"8000-8002/\w+: address already in use"):
            reserve(host, protocol, host_ip, 8000, 8002)


@pytest.mark.parametrize("protocol", KINDS)
def test_port_0_is_any_free_port(host: Namespace, protocol: str) -> None:
    host.set("ipv4/ip_local_port_range", "40000 40007")
    with ExitStack() as stack:
        got = set()
        for _ in range(8):
            sock, port = reserve(host, protocol, "", 0)
            stack.enter_context(sock)
            got.add(port)
        assert got == set(range(40000, 40008))
        with pytest.raises(Conflict):
            reserve(host, protocol, "", 0)


def test_connections_in_time_wait_do_not_keep_a_port_from_being_reserved(host: Namespace) -> None:
    sock, _ = reserve(host, "tcp", "", 8080)
    with sock, host.call(socket.socket) as client:
        client.connect(("127.0.0.1", 8080))
        sock.accept()[0].close()  # the side that closes first waits
        assert client.recv(1) == b""
    with open(f"/proc/{host.pid}/net/tcp6") as file:
        states = [line.split()[3] for line in file]
    assert "06" in states, "no connection is in TIME_WAIT"
    reserve(host, "tcp", "", 8080)[0].close()


def test_an_address_that_the_host_does_not_have_is_refused(host: Namespace) -> None:
    with pytest.raises(InvalidArgument) as failure:
        reserve(host, "udp", "2001:db8::2", 53)
    message = "failed to bind host port [2001:db8::2]:53/udp: cannot assign requested address"
    assert failure.value.message == message


def test_without_ipv6_addresses_a_port_is_held_for_ipv4(host: Namespace) -> None:
    host.set("ipv6/conf/all/disable_ipv6", "1")
    with reserve(host, "tcp", "", 8080)[0], pytest.raises(OSError, match="in use"):
        serve(host, socket.SOCK_STREAM, "127.0.0.1", 8080)


def test_a_port_of_sctp_is_held_if_the_kernel_has_sctp(host: Namespace) -> None:
    sock, port = host.call(lambda: published.reserve("sctp", "", 9899, 9899))
    assert port == 9899
    if sock is not None:
        with closing(sock), pytest.raises(Conflict):
            host.call(lambda: published.reserve("sctp", "", 9899, 9899))


def test_a_process_without_a_free_descriptor_gets_the_kernels_error(host: Namespace) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enter = socket.socket()  # its number is the limit
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (enter.fileno(), hard))
        with pytest.raises(OSError, match="Too many open files") as failure:
            published.reserve("tcp", "127.0.0.1", 0, 0)
        assert failure.value.errno == errno.EMFILE
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        enter.close()


def test_a_thousand_ports_are_reserved_in_a_moment(host: Namespace) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    try:
        before, began = len(os.listdir("/proc/self/fd")), time.perf_counter()
        socks = host.call(lambda: [published.reserve("tcp", "", port, port)[0] for port in range(2000, 3000)])
        took = time.perf_counter() - began
        assert len(os.listdir("/proc/self/fd")) == before + 1000
        for sock in socks:
            assert sock is not None
            sock.close()
        assert took < 0.5 * SLOWNESS, f"{took * 1000:.0f} ms"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
