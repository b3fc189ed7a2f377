"""The DNS server in a network namespace, asked by dig, by glibc and by busybox at 127.0.0.11."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pyctr_lite import linux
from pyctr_lite.engine.life.pump import Pump
from pyctr_lite.networks import dns, dns_listener, link, names
from pyctr_lite.networks.resolv_conf import Server, for_user_network
from pyctr_lite.networks.resolver import Resolver
from tests.networks.dns_bench import ADDRESSES, NAMES, FakeServer, Loop, data, fixed, question
from tests.networks.topology import Namespace, namespaces, veth


class Box:
    """A network namespace with a resolver, and a server of the host that it asks."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace, self.loop = namespace, Loop()
        self.upstream = FakeServer(self.loop, fixed(rcode=dns.NXDOMAIN))
        self.listener = dns_listener.listen(namespace.pid)
        self.resolver = Resolver(
            *(self.listener.udp, self.listener.tcp, NAMES.get, lambda address: ADDRESSES.get(address, "")),
            [self.upstream.server],
            open_inside=self.listener.open_inside,
        )
        self.loop.watched[self.resolver.fileno()] = self.resolver.handle

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the namespace while the resolver answers."""
        words = ["nsenter", f"--net=/proc/{self.namespace.pid}/ns/net", *command]
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen(words, stdout=output, stderr=subprocess.STDOUT)
            pidfd = os.pidfd_open(process.pid)
            self.loop.watched[pidfd] = process.poll
            assert self.loop.until(lambda: process.returncode is not None, 30), "it has not ended"
            del self.loop.watched[pidfd]
            os.close(pidfd)
            output.seek(0)
            return subprocess.CompletedProcess(words, process.returncode, output.read())

    def close(self) -> None:
        del self.loop.watched[self.resolver.fileno()]
        self.resolver.close()
        self.listener.close()
        self.upstream.close()


@pytest.fixture
def box() -> Iterator[Box]:
    with namespaces(1) as (namespace,):
        box = Box(namespace)
        yield box
        box.close()


def test_dig_gets_answers_from_port_53(box: Box, needs: Callable[[str], str]) -> None:
    dig = (needs("dig"), "@127.0.0.11", "+tries=1", "+time=5")
    for way in ("+notcp", "+tcp"):
        output = box.run(*dig, way, "web").stdout
        assert re.search(r"^web\.\s+600\s+IN\s+A\s+10\.1\.0\.2$", output, re.MULTILINE)
        assert "SERVER: 127.0.0.11#53(127.0.0.11)" in output
        assert "status: NOERROR" in box.run(*dig, way, "db", "AAAA").stdout
        assert "status: NXDOMAIN" in box.run(*dig, way, "no.example").stdout
        assert box.run(*dig, way, "+short", "-x", "fd01::2").stdout == "web.lab.\n"
    assert len(box.run(*dig, "+short", "many").stdout.split()) == 1000, "truncated, then over TCP"


def getent(box: Box, tmp_path: Path, *words: str) -> tuple[int, list[str]]:
    """Ask glibc, with the files of a container in a user-defined network."""
    (tmp_path / "resolv.conf").write_text(for_user_network("nameserver 192.0.2.1\n")[0])
    (tmp_path / "nsswitch.conf").write_text("hosts: files dns\n")
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n")
    script = (
        "cd $1; for name in *.conf hosts; do mount --bind $name $(realpath /etc/$name); done; shift; getent $@"
    )
    done = box.run("unshare", "-m", "sh", "-c", script, "sh", str(tmp_path), *words)
    return done.returncode, done.stdout.split()


def test_glibc_finds_names_and_addresses(box: Box, tmp_path: Path) -> None:
    code, found = getent(box, tmp_path, "ahosts", "web")
    assert (code, {"10.1.0.2", "fd01::2"} <= set(found)) == (0, True)
    code, found = getent(box, tmp_path, "ahosts", "db")
    assert (code, found[0], "fd01" in " ".join(found)) == (0, "10.1.0.3", False)
    assert getent(box, tmp_path, "hosts", "10.1.0.2") == (0, ["10.1.0.2", "web.lab"])
    assert getent(box, tmp_path, "ahosts", "nosuch") == (2, [])
    assert {name for name, _, _ in box.upstream.asked} == {"nosuch."}, "with ndots:0 as it is"
    assert set(NAMES["many"]) <= set(getent(box, tmp_path, "ahosts", "many")[1]), "over TCP"


def test_busybox_finds_names(box: Box, needs: Callable[[str], str]) -> None:
    output = box.run(needs("busybox"), "nslookup", "web", "127.0.0.11").stdout
    assert "10.1.0.2" in output
    assert "fd01::2" in output


def test_the_container_may_have_a_server_of_its_own_on_port_53(box: Box, needs: Callable[[str], str]) -> None:
    own = box.namespace.call(lambda: FakeServer(Loop(), fixed("192.0.2.53")))
    own.close()
    sock = box.namespace.call(lambda: socket.socket(type=socket.SOCK_DGRAM))
    sock.bind(("0.0.0.0", 53))
    box.namespace.listen("0.0.0.0", 53).close()
    own.udp = sock
    box.loop.watched[sock.fileno()] = own.on_datagram
    dig = (needs("dig"), "+tries=1", "+time=5", "+short", "web")
    assert box.run(*dig, "@127.0.0.1").stdout == "192.0.2.53\n"
    assert box.run(*dig, "@127.0.0.11").stdout == "10.1.0.2\n"
    sock.close()


def test_the_rules_are_readable_and_replaced_by_a_second_call(box: Box, needs: Callable[[str], str]) -> None:
    nft = (needs("nft"), "list", "ruleset")
    rule = r"ip daddr 127\.0\.0\.11 (udp|tcp) dport 53 dnat ip to 127\.0\.0\.11:(\d+)"
    before = re.findall(rule, box.run(*nft).stdout)
    assert [name for name, _ in before] == ["udp", "tcp"]
    second = dns_listener.listen(box.namespace.pid)
    after = re.findall(rule, box.run(*nft).stdout)
    ports = [str(sock.getsockname()[1]) for sock in (second.udp, second.tcp)]
    assert [port for _, port in after] == ports
    assert after != before
    second.udp.close(), second.tcp.close(), second.close()


def test_the_pump_of_a_monitor_drives_it(box: Box, tmp_path: Path, needs: Callable[[str], str]) -> None:
    names.register(str(tmp_path / "lab"), "1" * 64, "web", ["www"], ["10.9.0.2"])
    known = names.Names([(str(tmp_path / "lab"), "lab")])
    box.resolver.close(), box.listener.close()
    box.listener = listener = dns_listener.listen(box.namespace.pid)
    box.resolver = Resolver(listener.udp, listener.tcp, known.addresses, known.name_of)
    command = ["nsenter", f"--net=/proc/{box.namespace.pid}/ns/net", needs("dig"), "@127.0.0.11", "+short"]
    with (tmp_path / "output").open("wb") as output:
        process = subprocess.Popen([*command, "www.lab", "+tcp", "-x", "10.9.0.2"], stdout=output)
    with linux.closing(os.pidfd_open(process.pid)) as pidfd:
        pump = Pump(pidfd, {}, -1, None)
        pump.watched[box.resolver.fileno()] = box.resolver.handle
        pump.run()
    assert (process.wait(), (tmp_path / "output").read_text()) == (0, "10.9.0.2\nweb.lab.\n")
    box.loop.watched[box.resolver.fileno()] = box.resolver.handle


def test_a_server_inside_is_asked_from_inside(box: Box) -> None:
    inside = box.namespace.call(lambda: FakeServer(box.loop, fixed("192.0.2.99")))
    client = box.namespace.call(lambda: socket.socket(type=socket.SOCK_DGRAM))
    client.setblocking(False)
    client.connect(("127.0.0.11", 53))
    ready: list[bytes] = []
    box.loop.watched[client.fileno()] = lambda: ready.append(client.recv(512))
    port = inside.udp.getsockname()[1]
    for servers in ([Server("127.0.0.1", port=port, inside=True)], [Server("127.0.0.1", port=port)]):
        box.resolver.servers = servers
        client.send(question("example.com"))
        count = len(ready) + 1
        assert box.loop.until(lambda count=count: len(ready) == count)
    first, second = map(dns_record, ready)
    assert (data(first), second.header.rcode) == (["192.0.2.99"], dns.SERVFAIL)
    inside.close()
    client.close()


def dns_record(message: bytes) -> Any:
    import dnslib

    return dnslib.DNSRecord.parse(message)


def test_the_caller_is_back_in_its_namespace_and_nothing_is_open_after_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own, before = os.readlink("/proc/self/ns/net"), os.listdir("/proc/self/fd")
    with pytest.raises(FileNotFoundError):
        dns_listener.listen(2**22 + 1)
    with namespaces(1) as (namespace,):
        monkeypatch.setattr(dns_listener, "TABLE", "x" * 1000)
        with pytest.raises(OSError, match="create table inet xxx"):
            dns_listener.listen(namespace.pid)
    assert (os.readlink("/proc/self/ns/net"), os.listdir("/proc/self/fd")) == (own, before)


def test_the_namespace_ends_with_the_container_once_the_resolver_is_closed() -> None:
    """The host's end of the veth pair vanishes with the namespace; a socket of ours would keep it."""
    with namespaces(1) as (host,), host.route() as sock:
        namespace = Namespace()
        veth(host, "up0", "192.0.2.1", 24, namespace, "eth0", "192.0.2.2")
        box = Box(namespace)
        namespace.close()
        assert link.index(sock, "up0"), "still there"
        box.close()
        assert box.loop.until(lambda: all(found.name != "up0" for found in link.links(sock)), 20)
