"""The DNS server: its own names, queries sent on to servers of the test's own, TCP, and hostile clients."""

from __future__ import annotations

import os
import resource
import socket
import struct
import time
from collections.abc import Iterator

import dnslib
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyctr_lite.networks import dns, forwarder, streams
from pyctr_lite.networks.resolv_conf import Server
from pyctr_lite.networks.resolver import Resolver
from tests.conftest import SLOWNESS
from tests.networks.dns_bench import NAMES, Bench, data, fixed, question, silent


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_a_known_name_has_the_addresses_of_its_container(bench: Bench, tcp: bool) -> None:
    answer = bench.ask("WeB", tcp=tcp)
    assert (data(answer), answer.rr[0].ttl, answer.header.ra) == (["10.1.0.2"], 600, 1)
    assert data(bench.ask("web.", "AAAA", tcp=tcp)) == ["fd01::2"]
    assert sorted(data(bench.ask("web", "ANY", tcp=tcp))) == ["10.1.0.2", "fd01::2"]
    assert bench.looked_up[0] == "web"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("db", "AAAA"), ("six", "A"), ("web", "TXT"), ("web", "MX"), ("web", "HTTPS"), ("gone", "A")],
)
def test_a_known_name_without_such_a_record_exists_nevertheless(bench: Bench, name: str, kind: str) -> None:
    upstream = bench.serve(fixed(rcode=dns.NXDOMAIN))
    answer = bench.ask(name, kind)
    assert (answer.header.rcode, answer.rr, upstream.asked) == (dns.NOERROR, [], [])


def test_several_addresses_are_the_first_in_turn(bench: Bench) -> None:
    firsts = [(data(bench.ask("two"))[0], data(bench.ask("two", "AAAA"))[0]) for _ in range(4)]
    assert firsts == [("10.1.0.4", "fd01::4"), ("10.1.0.5", "fd01::5")] * 2
    assert sorted(data(bench.ask("two"))) == ["10.1.0.4", "10.1.0.5"]


def test_an_address_has_the_name_of_its_container(bench: Bench) -> None:
    assert data(bench.ask("2.0.1.10.in-addr.arpa", "PTR")) == ["web.lab."]
    reverse = "2." + "0." * 27 + "1.0.d.f.ip6.arpa"
    assert data(bench.ask(reverse, "PTR")) == ["web.lab."]
    long = bench.ask("9.0.1.10.in-addr.arpa", "PTR")
    assert (long.header.rcode, long.rr) == (dns.NOERROR, []), "a label of 64 characters"


def test_a_long_answer_is_cut_and_whole_over_tcp(bench: Bench) -> None:
    for edns, most in ((0, 512), (1232, 1232), (65535, 4096)):
        answer = bench.ask("many", edns=edns)
        assert answer.header.tc
        assert most - 64 < len(answer.pack()), "dnslib compresses as we do"
        assert 0 < len(answer.rr) < 1000
    whole = bench.ask("many", tcp=True)
    assert (whole.header.tc, sorted(data(whole))) == (0, sorted(NAMES["many"]))


def test_state_that_cannot_be_read_is_a_failure_of_the_server(bench: Bench) -> None:
    assert bench.ask("broken").header.rcode == dns.SERVFAIL


def test_a_bug_costs_one_answer_and_is_reported(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(*args: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as broken:
        broken.setattr(Resolver, "answer", answer)
        assert [bench.ask("web", tcp=tcp).header.rcode for tcp in (False, True)] == [dns.SERVFAIL] * 2
    assert [type(error) for error in bench.failures] == [ZeroDivisionError] * 2
    assert data(bench.ask("web")) == ["10.1.0.2"]


class TestForwarding:
    @pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
    def test_an_unknown_name_is_sent_on(self, bench: Bench, tcp: bool) -> None:
        upstream = bench.serve(fixed("192.0.2.1"))
        answer = bench.ask("ExAmple.com", tcp=tcp)
        assert (data(answer), answer.rr[0].ttl) == (["192.0.2.1"], 7)
        bench.ask("single", "TXT", tcp=tcp)
        bench.ask("9.9.9.9.in-addr.arpa", "PTR", tcp=tcp)
        names = [("ExAmple.com.", "A", tcp), ("single.", "TXT", tcp), ("9.9.9.9.in-addr.arpa.", "PTR", tcp)]
        assert upstream.asked == names

    def test_ids_and_ports_are_random(self, bench: Bench) -> None:
        upstream = bench.serve(fixed("192.0.2.1"))
        for number in range(24):
            bench.ask(f"{number}.example")
        assert len(set(upstream.ids)) > 20
        assert len({port for _, port in upstream.peers}) > 20
        assert max(abs(b - a) for a, b in zip(upstream.ids, upstream.ids[1:], strict=False)) > 256

    def test_nxdomain_is_an_answer(self, bench: Bench) -> None:
        bench.serve(fixed(rcode=dns.NXDOMAIN))
        second = bench.serve(fixed("192.0.2.1"))
        assert (bench.ask("no.example").header.rcode, second.asked) == (dns.NXDOMAIN, [])

    def test_without_a_server_the_answer_is_servfail(self, bench: Bench) -> None:
        assert bench.ask("example.com").header.rcode == dns.SERVFAIL
        assert bench.ask("example.com", tcp=True).header.rcode == dns.SERVFAIL
        assert data(bench.ask("web")) == ["10.1.0.2"]

    @pytest.mark.parametrize("rcode", [dns.SERVFAIL, dns.REFUSED])
    @pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
    def test_the_next_server_is_asked_if_one_refuses(self, bench: Bench, rcode: int, tcp: bool) -> None:
        first, second = bench.serve(fixed(rcode=rcode)), bench.serve(fixed("192.0.2.2"))
        began = time.monotonic()
        assert data(bench.ask("example.com", tcp=tcp)) == ["192.0.2.2"]
        assert time.monotonic() - began < forwarder.INTERVAL, "at once"
        assert (len(first.asked), len(second.asked)) == (1, 1)

    def test_the_next_server_is_asked_if_one_is_not_there(self, bench: Bench) -> None:
        first = bench.serve(silent)
        first.close()
        bench.serve(fixed("192.0.2.2"))
        began = time.monotonic()
        assert data(bench.ask("example.com")) == ["192.0.2.2"]
        assert data(bench.ask("example.com", tcp=True)) == ["192.0.2.2"]
        assert time.monotonic() - began < forwarder.INTERVAL, "port unreachable"

    def test_if_all_refuse_the_answer_is_servfail(self, bench: Bench) -> None:
        first, second = bench.serve(fixed(rcode=dns.REFUSED)), bench.serve(fixed(rcode=dns.SERVFAIL))
        assert bench.ask("example.com").header.rcode == dns.SERVFAIL
        assert (len(first.asked), len(second.asked)) == (1, 1)

    def test_a_silent_server_is_passed_over_and_asked_last_from_then_on(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(forwarder, "INTERVAL", 0.1)
        first, second = bench.serve(silent), bench.serve(fixed("192.0.2.2"))
        assert data(bench.ask("a.example")) == ["192.0.2.2"]
        assert data(bench.ask("b.example")) == ["192.0.2.2"]
        assert [name for name, _, _ in first.asked] == ["a.example."]
        assert [name for name, _, _ in second.asked] == ["a.example.", "b.example."]

    def test_a_late_answer_of_the_first_server_counts(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(forwarder, "INTERVAL", 0.1)
        first, second = bench.serve(silent), bench.serve(silent)
        client = bench.client()
        client.send(question("example.com"))
        assert bench.loop.until(lambda: len(second.asked) == 2)
        late = dnslib.DNSRecord.question("example.com").reply()
        late.header.id = first.ids[0]
        first.udp.sendto(late.pack(), first.peers[0])
        assert bench.receive(client)
        assert (first.ids[0], first.peers[0]) == (first.ids[1], first.peers[1]), "sent again, not anew"

    def test_a_client_hears_of_silence_in_the_end(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(forwarder, "INTERVAL", 0.1)
        monkeypatch.setattr(forwarder, "LIFETIME", 0.3)
        upstream = bench.serve(silent)
        for tcp in (False, True):
            assert bench.ask("example.com", tcp=tcp).header.rcode == dns.SERVFAIL
        assert upstream.asked[:2] == [("example.com.", "A", False)] * 2
        assert bench.loop.rounds < 100, "no busy loop"

    def test_forged_answers_are_ignored(self, bench: Bench) -> None:
        """From another port, with another id, for another question; and, over UDP, the right one still counts."""
        stranger = socket.socket(type=socket.SOCK_DGRAM)
        upstream = bench.serve(silent)
        client = bench.client()
        client.send(question("example.com"))
        bench.loop.until(lambda: upstream.asked)
        wrong = dnslib.DNSRecord.question("example.com").reply()
        wrong.add_answer(dnslib.RR("example.com", rdata=dnslib.A("6.6.6.6")))
        wrong.header.id = upstream.ids[0]
        stranger.sendto(wrong.pack(), upstream.peers[0])
        stranger.close()
        other_id = wrong.pack()
        upstream.udp.sendto(struct.pack(">H", upstream.ids[0] ^ 1) + other_id[2:], upstream.peers[0])
        upstream.udp.sendto(wrong.pack().replace(b"example", b"examp1e"), upstream.peers[0])
        for _ in range(40):
            upstream.udp.sendto(os.urandom(40), upstream.peers[0])
        right = dnslib.DNSRecord.question("example.com").reply()
        right.header.id = upstream.ids[0]
        right.add_answer(dnslib.RR("example.com", rdata=dnslib.A("192.0.2.1")))
        upstream.udp.sendto(right.pack(), upstream.peers[0])
        answer = bench.receive(client)
        assert answer
        assert data(dnslib.DNSRecord.parse(answer)) == ["192.0.2.1"]

    def test_an_answer_cut_for_us_is_asked_for_by_tcp_if_the_client_takes_more(self, bench: Bench) -> None:
        addresses = [f"192.0.2.{number}" for number in range(120)]
        upstream = bench.serve(fixed(*addresses))
        assert data(bench.ask("long.example", edns=4096)) == addresses
        assert [tcp for _, _, tcp in upstream.asked] == [False, True]
        cut = bench.ask("long.example")
        assert (cut.header.tc, [tcp for _, _, tcp in upstream.asked[2:]]) == (1, [False])
        assert data(bench.ask("long.example", tcp=True)) == addresses

    def test_a_server_without_tcp_gives_what_it_can(self, bench: Bench) -> None:
        upstream = bench.serve(fixed(*[f"192.0.2.{number}" for number in range(120)]))
        bench.loop.watched.pop(upstream.tcp.fileno())
        upstream.tcp.close()
        assert bench.ask("long.example", edns=4096).header.tc == 1
        upstream.reply = fixed("192.0.2.1")
        assert data(bench.ask("short.example", tcp=True)) == ["192.0.2.1"]

    def test_a_server_that_is_silent_over_tcp_gives_what_it_could(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(forwarder, "INTERVAL", 0.1)
        upstream, began = bench.serve(fixed(*[f"192.0.2.{number}" for number in range(120)])), time.monotonic()
        bench.loop.watched.pop(upstream.tcp.fileno())
        assert bench.ask("long.example", edns=4096).header.tc == 1
        assert time.monotonic() - began < forwarder.LIFETIME / 2

    def test_a_name_of_another_class_is_not_ours(self, bench: Bench) -> None:
        upstream = bench.serve(fixed())
        client, message = bench.client(), question("web")
        client.send(message[:-1] + b"\3")  # CH
        assert bench.receive(client)
        assert upstream.asked == [("web.", "A", False)]

    def test_a_server_that_cannot_be_reached_is_passed_over(self, bench: Bench) -> None:
        bench.serve(fixed("192.0.2.1"))
        for address in ("255.255.255.255", "fe80::1%no-such-link"):
            bench.resolver.servers = [Server(address), bench.servers[0].server]
            assert data(bench.ask("example.com")) == ["192.0.2.1"]
            assert data(bench.ask("example.com", tcp=True)) == ["192.0.2.1"]

    def test_a_wrong_or_broken_answer_over_tcp_is_none(self, bench: Bench) -> None:
        def other_id(query: dnslib.DNSRecord, tcp: bool) -> bytes:
            query.header.id ^= 1
            return fixed("6.6.6.6")(query, tcp)

        first, second = bench.serve(other_id), bench.serve(fixed("192.0.2.1"))
        for reply in (other_id, lambda query, tcp: b"", lambda query, tcp: b"short", silent):
            first.reply = reply
            assert data(bench.ask("example.com", tcp=True)) == ["192.0.2.1"]
        assert (len(first.asked), len(second.asked)) == (4, 4)

    def test_an_answer_over_tcp_may_come_in_pieces(self, bench: Bench) -> None:
        upstream = bench.serve(fixed("192.0.2.1"))
        upstream.in_pieces = True
        assert data(bench.ask("example.com", tcp=True)) == ["192.0.2.1"]

    def test_without_a_socket_the_answer_is_servfail(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        bench.serve(silent), bench.serve(silent)
        monkeypatch.setattr(forwarder, "MAX_SOCKETS", 1)
        monkeypatch.setattr(forwarder, "INTERVAL", 0.05)
        bench.client().send(question("one.example"))
        assert bench.loop.until(lambda: len(bench.servers[0].asked) == 2)
        assert bench.servers[1].asked == []
        assert bench.ask("two.example").header.rcode == dns.SERVFAIL

    def test_a_single_label_is_not_sent_on_if_ndots_was_set(self) -> None:
        bench = Bench(single=False)
        try:
            upstream = bench.serve(fixed("192.0.2.1"))
            answer = bench.ask("single")
            assert (answer.header.rcode, answer.rr, upstream.asked) == (dns.NOERROR, [], [])
            assert data(bench.ask("example.com")) == ["192.0.2.1"]
            bench.ask("single", "TXT")
            assert len(upstream.asked) == 2
        finally:
            bench.close()

    def test_pending_queries_are_bounded_and_known_names_answered_meanwhile(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(forwarder, "MAX_ACTIVE", 5)
        monkeypatch.setattr(forwarder, "MAX_WAITING", 5)
        upstream = bench.serve(silent)
        clients = [bench.client() for _ in range(12)]
        for number, client in enumerate(clients):
            client.send(question(f"{number}.example"))
        refused = [bench.receive(client) for client in clients[10:]]
        assert [dnslib.DNSRecord.parse(answer).header.rcode for answer in refused] == [dns.REFUSED] * 2
        assert bench.loop.until(lambda: len(upstream.asked) == 5)
        assert data(bench.ask("web")) == ["10.1.0.2"]
        upstream.reply = fixed("192.0.2.1")
        for peer, id, name in zip(upstream.peers, upstream.ids, range(5), strict=True):
            answer = dnslib.DNSRecord.question(f"{name}.example").reply()
            answer.header.id = id
            upstream.udp.sendto(answer.pack(), peer)
        assert all(bench.receive(client) for client in clients[:10])
        assert len(upstream.asked) == 10


class TestTcp:
    def test_queries_are_pipelined_and_answered_as_they_are_ready(self, bench: Bench) -> None:
        upstream = bench.serve(silent)
        client = bench.client("tcp")
        queries = [question(name) for name in ("slow.example", "web", "db")]
        sent = b"".join(len(query).to_bytes(2, "big") + query for query in queries)
        client.send(sent[:40])
        bench.loop.until(lambda: False, 0.05)
        client.send(sent[40:])
        answers = [dnslib.DNSRecord.parse(bench.receive(client) or b"") for _ in range(2)]
        assert [data(answer) for answer in answers] == [["10.1.0.2"], ["10.1.0.3"]]
        assert bench.loop.until(lambda: len(upstream.asked) == 2), "over TCP, and after that has failed over UDP"
        late = fixed("192.0.2.1")(dnslib.DNSRecord.question("slow.example"), False)
        upstream.udp.sendto(struct.pack(">H", upstream.ids[1]) + late[2:], upstream.peers[1])
        assert data(dnslib.DNSRecord.parse(bench.receive(client) or b"")) == ["192.0.2.1"]

    def test_a_client_may_end_its_side_before_the_answer(self, bench: Bench) -> None:
        bench.serve(fixed("192.0.2.1"))
        client = bench.client("tcp")
        message = question("example.com")
        client.send(len(message).to_bytes(2, "big") + message)
        client.shutdown(socket.SHUT_WR)
        assert data(dnslib.DNSRecord.parse(bench.receive(client) or b"")) == ["192.0.2.1"]
        assert bench.receive(client) == b""

    def test_an_answer_for_a_client_that_has_gone_is_dropped(self, bench: Bench) -> None:
        upstream, client, message = bench.serve(silent), bench.client("tcp"), question("example.com")
        client.send(len(message).to_bytes(2, "big") + message)
        assert bench.loop.until(lambda: len(upstream.asked) == 2)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()  # with RST
        answer = fixed("192.0.2.1")(dnslib.DNSRecord.question("example.com"), False)
        upstream.udp.sendto(struct.pack(">H", upstream.ids[1]) + answer[2:], upstream.peers[1])
        assert data(bench.ask("web", tcp=True)) == ["10.1.0.2"]

    def test_an_idle_connection_is_closed(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(streams, "IDLE", 0.2)
        began, client = time.monotonic(), bench.client("tcp")
        client.send(b"\0")
        assert bench.receive(client) == b""
        assert time.monotonic() - began >= 0.19

    def test_connections_are_bounded(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(streams, "MAX_STREAMS", 3)
        first, *others = [bench.client("tcp") for _ in range(4)]
        assert bench.receive(first) == b"", "idle for the longest time"
        assert data(bench.ask("web", tcp=True)) == ["10.1.0.2"]
        assert bench.receive(others[-1], 0.1) is None, "still open"

    def test_without_a_descriptor_connections_wait(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(streams, "_RETRY", 0.1)
        bench.serve(fixed("192.0.2.1"))
        udp, tcp = bench.client(), bench.client("tcp")
        limits, taken = resource.getrlimit(resource.RLIMIT_NOFILE), os.dup(0)
        try:
            message = question("web")
            tcp.send(len(message).to_bytes(2, "big") + message)
            udp.send(question("example.com"))
            resource.setrlimit(resource.RLIMIT_NOFILE, (taken, limits[1]))
            rounds = bench.loop.rounds
            assert bench.receive(tcp, 0.45) is None
            assert 2 < bench.loop.rounds - rounds < 20, "it tries again, and is not busy"
            answer = bench.receive(udp)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            os.close(taken)
        assert answer
        assert dnslib.DNSRecord.parse(answer).header.rcode == dns.SERVFAIL
        assert data(dnslib.DNSRecord.parse(bench.receive(tcp) or b"")) == ["10.1.0.2"]

    @pytest.mark.parametrize("sent", [b"\0\0", b"\0\5hello", b"\0\x0c" + bytes(2) + b"\x80" + bytes(9)])
    def test_a_connection_with_something_else_is_closed(self, bench: Bench, sent: bytes) -> None:
        client = bench.client("tcp")
        client.send(sent)
        assert bench.receive(client, streams.IDLE / 2) == b""

    def test_a_client_that_does_not_read_stops_being_read(self, bench: Bench) -> None:
        """It sends without end; what is kept for it is bounded, and others are served."""
        client, message = bench.client("tcp"), question("many")
        packet = (len(message).to_bytes(2, "big") + message) * 500
        before, quiet = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0
        while quiet < 2:
            try:
                client.send(packet)
            except BlockingIOError:
                rounds = bench.loop.rounds
                quiet += not bench.loop.until(lambda rounds=rounds: bench.loop.rounds > rounds, 0.1)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024
        assert data(bench.ask("web", tcp=True)) == ["10.1.0.2"]
        rounds = bench.loop.rounds
        bench.loop.until(lambda: False, 0.3)
        assert bench.loop.rounds - rounds < 10, "no busy loop"


WEB = question("web", edns=512)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=100) | st.integers(0, 40).map(lambda cut: WEB[:cut]), max_size=5))
def test_no_packet_ends_the_server(bench: Bench, packets: list[bytes]) -> None:
    udp, tcp = bench.client(), bench.client("tcp")
    for packet in packets:
        udp.send(packet)
        try:
            tcp.send(packet)
        except OSError:
            pass  # closed because of what it has sent
    assert data(bench.ask("web")) == ["10.1.0.2"]
    udp.close()
    tcp.close()


def test_nothing_stays_open(bench: Bench) -> None:
    bench.loop.watched.clear()
    other, before = Bench(), len(os.listdir("/proc/self/fd"))
    other.serve(silent)
    for tcp in (False, True):
        client = other.client("tcp" if tcp else "udp")
        message = question("example.com")
        client.send(len(message).to_bytes(2, "big") + message if tcp else message)
    other.loop.until(lambda: len(other.servers[0].asked) == 2)
    other.close()
    assert len(os.listdir("/proc/self/fd")) == before - 4, "its set and timer, and both sockets"


def test_a_query_takes_a_fraction_of_a_millisecond(bench: Bench, slowness: float) -> None:
    client, message, times = bench.client(), question("web"), []
    for _ in range(500):
        client.send(message)
        began = time.process_time()
        bench.resolver.handle()
        times.append(time.process_time() - began)
        client.recv(512)
    assert min(times) < 0.000_12 * slowness * SLOWNESS
