"""nf_tables: the kernel's packet filter, by its own messages: each function is one line of nft(8).

A rule is a list of expressions that work on registers: load a field of the packet, compare, look up, decide. All
numbers in these messages are big-endian. Source: linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import _socket
import struct

from pyctr_lite.linux import netlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyctr_lite.linux.netlink import Socket

    Request = tuple[str, int, int, bytes]
    """A request of a batch: its text, kind, flags and content."""

_SUBSYSTEM = 10 << 8
_NEWTABLE, _DELTABLE, _NEWCHAIN, _NEWRULE, _DELRULE = 0, 2, 3, 6, 8
_NEWSET, _NEWSETELEM, _DELSETELEM = 9, 12, 14
_GETTABLE, _GETSETELEM = 1, 13
_BEGIN, _END = 0x10, 0x11
FAMILIES = {"inet": 1, "ip": 2, "bridge": 7, "ip6": 10}
"""Families of tables. A table is named as in nft(8), "ip filter"; without a family it is one of inet."""
WORDS = {number: word for word, number in FAMILIES.items()}
HEAD = 4
"""Size of struct nfgenmsg, which begins each message with its family."""

DROP, ACCEPT = 0, 1
"""Verdicts."""
L4PROTO, IIFNAME, OIFNAME, NFPROTO, IIFKIND, OIFKIND = 16, 6, 7, 15, 26, 27
"""Keys of `meta`: the transport protocol, the names of both interfaces, the family, the kinds of both links."""
EQUAL, NOT_EQUAL = 0, 1
_MAP = 0x8
"""A flag of a set."""
IPADDR, IP6ADDR, PROTOCOL, SERVICE, MARK, IFNAME = 7, 8, 12, 13, 19, 41
"""The types of a set's fields, by the numbers that nft(8) shows them by."""
_LENGTHS = {IPADDR: 4, IP6ADDR: 16, PROTOCOL: 1, SERVICE: 2, MARK: 4, IFNAME: 16}
REGISTER = 8
"""The first of the registers of four bytes."""
_VERDICT_REGISTER = 0
HOST_ORDER = bytes((0, 4)) + struct.pack("=I", 1)
"""User data of a set, for nft(8): its keys are in the machine's byte order, as interface names and marks are."""


def run(sock: Socket, requests: Iterable[Request]) -> None:
    """Carry out requests as one transaction: all of them, or none. Raises the first error."""
    head = struct.pack(">BBH", _socket.AF_UNSPEC, 0, 10)
    sock.batch(requests, (_BEGIN, head), (_END, head))


def add_table(table: str) -> Request:
    """Return the request for a new table. It fails with EEXIST if there is one."""
    return request("create table", table, "", _NEWTABLE, netlink.CREATE | netlink.EXCL)


def delete_table(table: str) -> Request:
    """Return the request that removes a table with all that is in it. It fails with ENOENT if there is none."""
    return request("delete table", table, "", _DELTABLE, 0)


def has_table(sock: Socket, table: str) -> bool:
    """Return whether the table exists."""
    try:
        sock.request(*request("list table", table, "", _GETTABLE, 0))
    except FileNotFoundError:
        return False
    return True


def tables(sock: Socket) -> set[str]:
    """Return the tables of all programs, such as "ip filter", of the families that are known here."""
    found = set()
    for _, answer in sock.request("nft list tables", _SUBSYSTEM | _GETTABLE, netlink.DUMP, bytes(HEAD)):
        if answer[0] in WORDS:
            name = netlink.attributes(answer[HEAD:])[1].rstrip(b"\0").decode(errors="surrogateescape")
            found.add(f"{WORDS[answer[0]]} {name}")
    return found


def add_chain(table: str, name: str, type: str, hook: int, priority: int) -> Request:
    """Return the request for a base chain: `type` filter or nat, at a hook (NF_INET_*), with policy accept."""
    body = netlink.text(3, name)
    body += netlink.nest(4, _number(1, hook), netlink.attribute(2, struct.pack(">i", priority)))
    body += netlink.text(7, type)
    text = f"{name} {{ type {type} hook {hook} priority {priority}; }}"
    return request("add chain", table, text, _NEWCHAIN, netlink.CREATE, body)


def flush_chain(table: str, name: str) -> Request:
    """Return the request that removes all rules of a chain."""
    return request("flush chain", table, name, _DELRULE, 0, netlink.text(2, name))


def add_rule(table: str, chain: str, text: str, *expressions: bytes) -> Request:
    """Return the request for a rule at the end of a chain. `text` is the rule in words of nft(8)."""
    flags = netlink.CREATE | netlink.APPEND
    return request("add rule", table, f"{chain} {text}", _NEWRULE, flags, _rule(chain, expressions))


def insert_rule(table: str, chain: str, text: str, *expressions: bytes) -> Request:
    """Return the request for a rule at the head of a chain."""
    return request("insert rule", table, f"{chain} {text}", _NEWRULE, netlink.CREATE, _rule(chain, expressions))


def add_set(table: str, name: str, number: int, key: tuple[int, ...], data: tuple[int, ...] = ()) -> Request:
    """Return the request for a set of such keys, or with `data` for a map. `number` is unique in its batch."""
    body = netlink.text(2, name) + _number(10, number)
    body += _number(3, _MAP if data else 0) + _number(4, _type(key)) + _number(5, _length(key))
    if data:
        body += _number(6, _type(data)) + _number(7, _length(data))
    if IFNAME in key or MARK in key:
        body += netlink.attribute(13, HOST_ORDER)
    shown = f"{name} {{ type {_shown(key)}{f' : {_shown(data)}' if data else ''}; }}"
    return request("add map" if data else "add set", table, shown, _NEWSET, netlink.CREATE, body)


def add_element(table: str, set: str, text: str, key: bytes, data: bytes = b"", *, object: str = "") -> Request:
    """Return the request for an element. It fails with EEXIST if the set has it, or the key has another value."""
    flags = netlink.CREATE | netlink.EXCL
    value = netlink.nest(2, netlink.attribute(1, data)) if data else b""
    value += netlink.text(9, object) if object else b""
    return request("create element", table, f"{set} {{ {text} }}", _NEWSETELEM, flags, _element(set, key, value))


def delete_element(table: str, set: str, text: str, key: bytes) -> Request:
    """Return the request that removes an element. It fails with ENOENT if there is none."""
    return request("delete element", table, f"{set} {{ {text} }}", _DELSETELEM, 0, _element(set, key))


def flush_set(table: str, set: str) -> Request:
    """Return the request that removes all elements of a set."""
    return request("flush set", table, set, _DELSETELEM, 0, netlink.text(2, set))


def elements(sock: Socket, table: str, set: str) -> list[tuple[bytes, bytes]]:
    """List the elements of a set or map: key and value, each field with zero bytes up to a multiple of four."""
    found = []
    listing = request("list set", table, set, _GETSETELEM, netlink.DUMP, netlink.text(2, set))
    for _, answer in sock.request(*listing):
        listed = netlink.attributes(answer[HEAD:]).get(3, b"")
        for _, element in netlink.each_attribute(listed):
            given = netlink.attributes(element)
            found.append((_value(given[1]), _value(given[2]) if 2 in given else b""))
    return found


def has_element(sock: Socket, table: str, set: str, text: str, key: bytes) -> bool:
    """Return whether a set has an element; also False without the set."""
    asked = request("get element", table, f"{set} {{ {text} }}", _GETSETELEM, 0, _element(set, key))
    try:
        sock.request(*asked)
    except FileNotFoundError:
        return False
    return True


def concatenation(*fields: bytes) -> bytes:
    """Return the key or value of several fields: each with zero bytes up to a multiple of four."""
    return b"".join(map(netlink.padded, fields)) if len(fields) > 1 else fields[0]


def interface(name: str) -> bytes:
    """Return the name of an interface as a field."""
    return name.encode().ljust(16, b"\0")


def meta(key: int, register: int = REGISTER) -> bytes:
    """Load a property of the packet, such as IIFNAME."""
    return expression("meta", _number(1, register), _number(2, key))


def network(offset: int, length: int, register: int = REGISTER) -> bytes:
    """Load bytes of the packet's IP header."""
    return expression("payload", _number(1, register), _number(2, 1), _number(3, offset), _number(4, length))


def transport(offset: int, length: int, register: int = REGISTER) -> bytes:
    """Load bytes of the packet's TCP or UDP header."""
    return expression("payload", _number(1, register), _number(2, 2), _number(3, offset), _number(4, length))


def load(value: bytes, register: int = REGISTER) -> bytes:
    """Load a constant."""
    return expression("immediate", _number(1, register), netlink.nest(2, netlink.attribute(1, value)))


def compare(value: bytes, operator: int = EQUAL) -> bytes:
    """Go on with the rule only if the register equals, or does not equal, a value."""
    return expression(
        "cmp", _number(1, REGISTER), _number(2, operator), netlink.nest(3, netlink.attribute(1, value))
    )


def mask(value: bytes) -> bytes:
    """Keep only those bits of the register."""
    both = netlink.nest(4, netlink.attribute(1, value)) + netlink.nest(5, netlink.attribute(1, bytes(len(value))))
    return expression("bitwise", _number(1, REGISTER), _number(2, REGISTER), _number(3, len(value)), both)


def is_local() -> bytes:
    """Load the type of the destination address: 2 (RTN_LOCAL) for one of this machine's own."""
    return expression("fib", _number(1, REGISTER), _number(2, 3), _number(3, 2))


def ct(key: int) -> bytes:
    """Load a property of the connection, a bit mask in the machine's byte order: 0 its state, 2 its status."""
    return expression("ct", _number(1, REGISTER), _number(2, key))


def lookup(set: str, *, value: bool = False, inverted: bool = False) -> bytes:
    """Go on only if the register's value is in the set, or if `inverted` is not; `value` loads the map's value."""
    more = _number(3, REGISTER) if value else b""
    return expression(
        "lookup", netlink.text(1, set), _number(2, REGISTER), more, _number(5, 1) if inverted else b""
    )


def counter() -> bytes:
    """Count the packets that come this far. iptables has one in every rule."""
    return expression("counter")


def verdict(code: int) -> bytes:
    """End with a verdict."""
    data = netlink.nest(2, netlink.nest(2, _number(1, code)))
    return expression("immediate", _number(1, _VERDICT_REGISTER), data)


def masquerade() -> bytes:
    """Replace the source address by that of the interface that the packet leaves by."""
    return expression("masq")


def destination_nat(family: int, port_register: int) -> bytes:
    """Replace the destination by the address in the first register, and the port in another."""
    return expression(
        "nat", _number(1, 1), _number(2, family), _number(3, REGISTER), _number(5, port_register), _number(7, 2)
    )


def request(verb: str, table: str, rest: str, kind: int, flags: int, body: bytes = b"") -> Request:
    """Return a request about a table, in words of nft(8) and as a message."""
    family, _, name = table.rpartition(" ")
    family = family or "inet"
    head = struct.pack(">BBH", FAMILIES[family], 0, 0) + netlink.text(1, name)
    return f"nft {verb} {family} {name} {rest}".rstrip(), _SUBSYSTEM | kind, flags, head + body


def expression(name: str, *attributes: bytes) -> bytes:
    """Return an expression with its attributes."""
    return netlink.text(1, name) + netlink.nest(2, *attributes)


def _rule(chain: str, expressions: Iterable[bytes]) -> bytes:
    return netlink.text(2, chain) + netlink.nest(4, *(netlink.nest(1, expression) for expression in expressions))


def _element(set: str, key: bytes, more: bytes = b"") -> bytes:
    field = netlink.nest(1, netlink.attribute(1, key))
    return netlink.text(2, set) + netlink.nest(3, netlink.nest(1, field, more))


def _number(kind: int, value: int) -> bytes:
    return netlink.attribute(kind, struct.pack(">I", value))


def _value(nested: bytes) -> bytes:
    return netlink.attributes(nested)[1]


def _type(fields: tuple[int, ...]) -> int:
    """Return the type of a concatenation as nft(8) counts it: six bits a field."""
    result = 0
    for field in fields:
        result = result << 6 | field
    return result


def _length(fields: tuple[int, ...]) -> int:
    lengths = [_LENGTHS[field] for field in fields]
    return lengths[0] if len(lengths) == 1 else sum(-(-length // 4) * 4 for length in lengths)


def _shown(fields: tuple[int, ...]) -> str:
    names = {IPADDR: "ipv4_addr", IP6ADDR: "ipv6_addr", PROTOCOL: "inet_proto", SERVICE: "inet_service"}
    names |= {MARK: "mark", IFNAME: "ifname"}
    return " . ".join(names[field] for field in fields)
