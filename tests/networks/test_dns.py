"""DNS messages, compared with dnslib; nothing that a client or a server sends can raise an error."""

from __future__ import annotations

import ipaddress
import struct

import dnslib
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pyctr_lite.networks import dns

LABEL = st.text("abcXYZ019-_", min_size=1, max_size=63)
NAME = st.lists(LABEL, min_size=1, max_size=8).map(".".join).filter(lambda name: len(name) < 254)
HEADER = struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0)


def parse(message: bytes) -> dns.Query:
    query = dns.parse_query(message)
    assert query is not None
    return query


@given(NAME, st.sampled_from(["A", "AAAA", "PTR", "TXT", "ANY"]), st.integers(0, 65535), st.integers(-1, 65535))
def test_a_query_is_read_as_dnslib_has_made_it(name: str, kind: str, id: int, edns: int) -> None:
    record = dnslib.DNSRecord.question(name, kind)
    record.header.id = id
    if edns >= 0:
        record.add_ar(dnslib.EDNS0(udp_len=edns, flags="do"))
    query = parse(record.pack())
    assert (query.error, query.id, query.name) == (0, id, name.lower())
    assert (query.kind, query.class_) == (dnslib.QTYPE.reverse[kind], 1)
    assert (query.edns, query.dnssec) == ((max(512, edns), True) if edns >= 0 else (0, False))
    assert 512 <= query.limit <= 4096


@given(NAME, st.lists(st.ip_addresses(v=4), max_size=80), st.sampled_from([0, 512, 1232, 4096]))
def test_dnslib_reads_an_answer(name: str, addresses: list[ipaddress.IPv4Address], edns: int) -> None:
    record = dnslib.DNSRecord.question(name)
    if edns:
        record.add_ar(dnslib.EDNS0(udp_len=edns))
    query = parse(record.pack())
    message = dns.answer(query, [(dns.A, address.packed) for address in addresses], query.limit)
    read = dnslib.DNSRecord.parse(message)
    assert len(message) <= query.limit
    assert (read.header.id, read.header.qr, read.header.ra, read.header.rd) == (query.id, 1, 1, 1)
    assert str(read.q.qname) == name + ".", "with the case of the query"
    assert [str(answer.rdata) for answer in read.rr] == [str(address) for address in addresses][: len(read.rr)]
    assert bool(read.header.tc) == (len(read.rr) < len(addresses))
    assert {answer.ttl for answer in read.rr} <= {600}
    assert [part.rtype for part in read.ar] == ([dns.OPT] if edns else [])
    if read.header.tc:
        assert len(message) > query.limit - len(name) - 32, "as many as there is room for"


@given(st.binary(max_size=600) | st.binary(max_size=80).map(lambda rest: HEADER + rest))
@example(HEADER + b"\xc0\x0c\0\1\0\1")  # a name that is a pointer to itself
@example(HEADER + b"\1a\xc0\x0c\0\1\0\1")  # … with a label before it
@example(HEADER + b"\3web")  # cut off
@example(HEADER + b"\x40web\0\0\1\0\1")  # a label of unknown kind
def test_any_bytes_get_a_readable_answer_or_none(message: bytes) -> None:
    query = dns.parse_query(message)
    if query is None:
        assert len(message) < 12 or message[2] & 0x80
        return
    answer = dns.answer(query, [(dns.A, bytes(4))] * 50, query.limit, query.error)
    assert len(answer) <= query.limit
    assert answer[:2] == message[:2]
    assert "/" not in query.name
    assert ".." not in f".{query.name}" if query.name else True
    if query.error != dns.FORMERR and query.question:
        dnslib.DNSRecord.parse(answer)


def question(*labels: bytes, end: bytes = b"\0", kind: int = 1) -> bytes:
    name = b"".join(bytes((len(label),)) + label for label in labels)
    return HEADER + name + end + struct.pack(">HH", kind, 1)


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (struct.pack(">HHHHHH", 7, 0, 0, 0, 0, 0), dns.FORMERR),
        (struct.pack(">HHHHHH", 7, 0, 2, 0, 0, 0) + question(b"a")[12:] * 2, dns.FORMERR),
        (question(b"a" * 63, b"b" * 63, b"c" * 63, b"d" * 61), dns.NOERROR),
        (question(b"a" * 63, b"b" * 63, b"c" * 63, b"d" * 62), dns.FORMERR),
        (question(b"a", end=b"\xc0\x0c"), dns.FORMERR),
        (question(b"web")[:-1], dns.FORMERR),
        (struct.pack(">HHHHHH", 7, 0x2800, 1, 0, 0, 0) + question(b"a")[12:], dns.NOTIMP),
        (question(b"a")[:10] + b"\0\1" + question(b"a")[12:] + b"\0\0\x29\x10\0\0\1\0\0\0\0", dns.BADVERS),
        (question(b"a")[:10] + b"\0\2" + question(b"a")[12:] + b"\0\0\x29\x10\0\0\0\0\0\0\0" * 2, dns.FORMERR),
        (question(b"a")[:10] + b"\0\1" + question(b"a")[12:] + b"\0\0\x29\x10\0\0\0\0\0\0\7x", dns.FORMERR),
        (question(b"a")[:10] + b"\0\1" + question(b"a")[12:] + b"\1x\0\0\x29\x10\0\0\0\0\0\0\0", dns.FORMERR),
    ],
    ids="none two 255 256 pointer cut update badvers twice data named".split(),
)
def test_a_query_that_cannot_be_answered_gets_an_error(message: bytes, error: int) -> None:
    query = parse(message)
    assert query.error == error
    read = dnslib.DNSRecord.parse(dns.answer(query, error=query.error))
    upper = read.ar[0].ttl >> 24 if read.ar else 0
    assert (read.header.id, upper << 4 | read.header.rcode) == (7, error)
    assert read.header.cd == 0, "the bit beside the response code"


@pytest.mark.parametrize("labels", [(b"a.b",), (b"..",), (b"a/b",), (b"\xff",), (b"a b",), (b"a\0",), ()])
def test_a_name_that_no_container_can_have_is_not_looked_up(labels: tuple[bytes, ...]) -> None:
    query = parse(question(*labels))
    assert (query.error, query.name) == (0, "")


@given(st.ip_addresses())
def test_a_reverse_name_is_read_back(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    assert ipaddress.ip_address(dns.address_of(address.reverse_pointer)) == address


@pytest.mark.parametrize(
    "name", ["3.2.1.in-addr.arpa", "256.3.2.1.in-addr.arpa", "x.3.2.1.in-addr.arpa", "1.ip6.arpa", "web", ""]
)
def test_another_name_is_not_a_reverse_name(name: str) -> None:
    assert dns.address_of(name) == ""
    assert dns.address_of("g." * 32 + "ip6.arpa") == ""
    assert dns.address_of("12." * 16 + "ip6.arpa") == ""


def test_a_name_is_encoded_unless_dns_cannot_express_it() -> None:
    assert dns.encode_name("Web.lab") == b"\3Web\3lab\0"
    for name in ("", "a..b", "a" * 64, ".".join(["a" * 49] * 5) + ".aaaaa"):
        with pytest.raises(ValueError, match="not a name of DNS"):
            dns.encode_name(name)


class TestForwarding:
    query = parse(dnslib.DNSRecord(q=dnslib.DNSQuestion("Example.COM"), ar=[dnslib.EDNS0(udp_len=4096)]).pack())

    def test_only_the_question_is_sent_on(self) -> None:
        record = dnslib.DNSRecord.question("Example.COM")
        record.add_ar(dnslib.EDNS0(udp_len=4096, opts=[dnslib.EDNSOption(10, b"a cookie")]))
        sent = dns.forwarded(parse(record.pack() + b"garbage"), 99)
        read = dnslib.DNSRecord.parse(sent)
        assert (read.header.id, read.header.rd, str(read.q.qname)) == (99, 1, "Example.COM.")
        assert (read.ar[0].edns_len, read.ar[0].rdata) == (1232, [])
        assert b"garbage" not in sent

    def reply(self, name: str = "Example.COM", kind: str = "A", id: int = 99, **flags: int) -> bytes:
        record = dnslib.DNSRecord(
            dnslib.DNSHeader(id=id, qr=1, ra=1, **flags), q=dnslib.DNSQuestion(name, getattr(dnslib.QTYPE, kind))
        )
        record.add_answer(dnslib.RR("example.com", rdata=dnslib.A("192.0.2.7"), ttl=5))
        return bytes(record.pack())

    @pytest.mark.parametrize(
        ("changes", "accepted"),
        [
            ({}, True),
            ({"name": "eXAMPLE.com"}, True),
            ({"name": "example.org"}, False),
            ({"kind": "AAAA"}, False),
            ({"id": 98}, False),
            ({"opcode": 5}, False),
        ],
    )
    def test_only_the_answer_to_the_question_counts(self, changes: dict[str, object], accepted: bool) -> None:
        message = self.reply(**changes)  # type: ignore[arg-type]
        assert dns.is_answer(message, self.query, 99) == accepted
        assert not dns.is_answer(message[:11], self.query, 99)
        assert not dns.is_answer(dns.forwarded(self.query, 99), self.query, 99), "a query"

    def test_the_client_gets_its_own_id_and_case(self) -> None:
        read = dnslib.DNSRecord.parse(dns.relayed(self.query, self.reply("eXAMPLE.com"), 512))
        assert (read.header.id, str(read.q.qname)) == (self.query.id, "Example.COM.")
        assert str(read.rr[0].rdata) == "192.0.2.7"
        short = dnslib.DNSRecord.parse(dns.relayed(self.query, self.reply() + bytes(500), 512))
        assert (short.header.id, short.header.tc, short.rr) == (self.query.id, 1, [])

    def test_an_error_may_come_without_the_question(self) -> None:
        message = struct.pack(">HHHHHH", 99, 0x8001, 0, 0, 0, 0)
        assert dns.is_answer(message, self.query, 99)
        assert not dns.is_answer(struct.pack(">HHHHHH", 99, 0x8000, 0, 0, 0, 0), self.query, 99)
        read = dnslib.DNSRecord.parse(dns.relayed(self.query, message, 512))
        assert (read.header.id, read.header.rcode, str(read.q.qname)) == (self.query.id, 1, "Example.COM.")

    @given(
        st.binary(max_size=200) | st.binary(max_size=80).map(lambda rest: struct.pack(">H", 99) + b"\x80" + rest)
    )
    def test_any_bytes_of_a_server_are_refused_or_relayed(self, message: bytes) -> None:
        if dns.is_answer(message, self.query, 99):
            dns.error_of(message), dns.is_truncated(message)
            assert len(dns.relayed(self.query, message, 512)) <= 512
