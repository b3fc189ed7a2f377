"""The sets and rules of the engine's packet filter (`rules`). Needed once on a machine."""

from __future__ import annotations

import _socket
import struct

from pyctr_lite.networks import nft, rules

_PREROUTING, _INPUT, _FORWARD, _OUTPUT, _POSTROUTING = range(5)
_RAW, _DSTNAT, _FILTER, _SRCNAT = -300, -100, 0, 100
_RTN_LOCAL = 2
_ESTABLISHED_OR_RELATED, _DNAT = 0x6, 0x20
"""Bits of a connection's state (ct state), and of its status (ct status)."""
_IPV4, _IPV6 = _socket.AF_INET, _socket.AF_INET6
_SOURCE4, _DESTINATION4, _SOURCE6, _DESTINATION6 = (12, 4), (16, 4), (8, 16), (24, 16)
"""Offset and length of the addresses in an IP header."""
_LOOPBACK6 = bytes(15) + b"\1"

VERSION = "version"
"""The set with the version of the rules (`rules.VERSION`), its only element."""


_CHAINS = (
    ("raw", "filter", _PREROUTING, _RAW),
    ("prerouting", "nat", _PREROUTING, _DSTNAT),
    ("output", "nat", _OUTPUT, _DSTNAT),
    ("postrouting", "nat", _POSTROUTING, _SRCNAT),
    ("forward", "filter", _FORWARD, _FILTER),
    ("input", "filter", _INPUT, _FILTER),
)


def requests_for(table: str, version: int) -> list[nft.Request]:
    """Return the requests for a new table with its sets and rules."""
    return [nft.add_table(table), *_sets(table), *_rules(table), rules.mark(table, version)]


def renewal(table: str, version: int) -> list[nft.Request]:
    """Return the requests that give a table of an older version the present rules. Its elements stay.

    So no connection and no published port is lost. A set whose type changes needs a new name.
    """
    flushes = [nft.flush_chain(table, name) for name, *_ in _CHAINS]
    return [*_sets(table), *flushes, nft.flush_set(table, VERSION), *_rules(table), rules.mark(table, version)]


def _sets(table: str) -> list[nft.Request]:
    """Return the requests for the sets, and for the chains without their rules. They may be there."""
    sets: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = [
        (VERSION, (nft.MARK,), ()),
        ("bridges", (nft.IFNAME,), ()),
        ("hidden", (nft.IFNAME,), ()),
        ("internal", (nft.IFNAME,), ()),
        ("same", (nft.IFNAME, nft.IFNAME), ()),
    ]
    for suffix, address in (("4", nft.IPADDR), ("6", nft.IP6ADDR)):
        target = (address, nft.SERVICE)
        sets.append((f"own{suffix}", (address, address), ()))
        sets.append((f"ports{suffix}", (nft.PROTOCOL, address, nft.SERVICE), target))
        sets.append((f"any{suffix}", (nft.PROTOCOL, nft.SERVICE), target))
    sets.append(("proxied_any6", (nft.PROTOCOL, nft.SERVICE), ()))
    sets.append(("proxied_ports6", (nft.PROTOCOL, nft.IP6ADDR, nft.SERVICE), ()))
    requests = [nft.add_set(table, name, number, key, data) for number, (name, key, data) in enumerate(sets, 1)]
    return requests + [nft.add_chain(table, *chain) for chain in _CHAINS]


def _rules(table: str) -> list[nft.Request]:
    redirections = [request for chain in ("prerouting", "output") for request in _redirections(table, chain)]
    return [
        *(*_drop_foreign_loopback(table), *redirections),
        *(*_masquerades(table), *_forward(table), *_guard(table)),
    ]


def _guard(table: str) -> list[nft.Request]:
    """Keep internal networks from the ports that the proxy serves (`rules.guard`)."""
    words = "iifname @internal meta l4proto"
    protocol = (nft.meta(nft.IIFNAME), nft.lookup("internal"), nft.meta(nft.L4PROTO))
    (offset, length), port = _DESTINATION6, nft.REGISTER + 1
    return [
        nft.add_rule(
            *(table, "input", f"meta nfproto ipv6 {words} . th dport @proxied_any6 drop"),
            *(nft.meta(nft.NFPROTO), nft.compare(bytes([_IPV6])), *protocol, nft.transport(2, 2, port)),
            *(nft.lookup("proxied_any6"), nft.verdict(nft.DROP)),
        ),
        nft.add_rule(
            *(table, "input", f"{words} . ip6 daddr . th dport @proxied_ports6 drop"),
            *(nft.meta(nft.NFPROTO), nft.compare(bytes([_IPV6])), *protocol),
            *(nft.network(offset, length, port), nft.transport(2, 2, port + length // 4)),
            *(nft.lookup("proxied_ports6"), nft.verdict(nft.DROP)),
        ),
    ]


def _drop_foreign_loopback(table: str) -> list[nft.Request]:
    """Drop what comes from outside to or from 127.0.0.0/8: with route_localnet the kernel lets both in.

    A server of the host may trust 127.0.0.2 as it trusts itself.
    """
    return [
        nft.add_rule(
            *(table, "raw", f'ip {word} 127.0.0.0/8 iifname != "lo" drop'),
            *(nft.meta(nft.NFPROTO), nft.compare(bytes([_IPV4])), nft.network(*field)),
            *(nft.mask(bytes((255, 0, 0, 0))), nft.compare(bytes((127, 0, 0, 0)))),
            *(nft.meta(nft.IIFNAME), nft.compare(nft.interface("lo"), nft.NOT_EQUAL), nft.verdict(nft.DROP)),
        )
        for word, field in (("daddr", _DESTINATION4), ("saddr", _SOURCE4))
    ]


def _redirections(table: str, chain: str) -> list[nft.Request]:
    """Lead what comes to a published port of this machine to the container."""
    requests = []
    for family, suffix, words, (offset, length) in (
        (_IPV4, "4", "ip", _DESTINATION4),
        (_IPV6, "6", "ip6", _DESTINATION6),
    ):
        to, port = f"fib daddr type local dnat {words} to meta l4proto", "th dport map"
        local: tuple[bytes, ...] = (
            *(nft.meta(nft.NFPROTO), nft.compare(bytes([family]))),
            *(nft.is_local(), nft.compare(struct.pack("=I", _RTN_LOCAL))),
        )
        if family == _IPV6:  # a packet from ::1 cannot leave the machine; the reserved socket takes it (published)
            to = f"ip6 daddr != ::1 {to}"
            local += (nft.network(offset, length), nft.compare(_LOOPBACK6, nft.NOT_EQUAL))
        first = nft.REGISTER
        after = first + 1 + length // 4
        nat = nft.destination_nat(family, first + length // 4)
        requests.append(
            nft.add_rule(
                *(
                    table,
                    chain,
                    f"{to} . {words} daddr . {port} @ports{suffix}",
                ),
                *(*local, nft.meta(nft.L4PROTO, first), nft.network(offset, length, first + 1)),
                *(nft.transport(2, 2, after), nft.lookup(f"ports{suffix}", value=True), nat),
            )
        )
        requests.append(
            nft.add_rule(
                *(table, chain, f"{to} . {port} @any{suffix}"),
                *(*local, nft.meta(nft.L4PROTO, first), nft.transport(2, 2, first + 1)),
                *(nft.lookup(f"any{suffix}", value=True), nat),
            )
        )
    return requests


def _masquerades(table: str) -> list[nft.Request]:
    """Give packets an address of this machine where the answer would not find its way back otherwise."""
    chain = (table, "postrouting")
    same = (nft.meta(nft.IIFNAME), nft.meta(nft.OIFNAME, nft.REGISTER + 4), nft.lookup("same"))
    requests = [
        nft.add_rule(
            *(*chain, "iifname @hidden oifname != @bridges masquerade"),
            *(nft.meta(nft.IIFNAME), nft.lookup("hidden")),
            *(nft.meta(nft.OIFNAME), nft.lookup("bridges", inverted=True), nft.masquerade()),
        ),
        nft.add_rule(
            *(*chain, "ip saddr 127.0.0.0/8 oifname @bridges masquerade"),
            *(nft.meta(nft.NFPROTO), nft.compare(bytes([_IPV4])), nft.network(12, 4)),
            *(nft.mask(bytes((255, 0, 0, 0))), nft.compare(bytes((127, 0, 0, 0)))),
            *(nft.meta(nft.OIFNAME), nft.lookup("bridges"), nft.masquerade()),
        ),
        nft.add_rule(
            *(*chain, "iifname . oifname @same ct status dnat masquerade"),
            *(*same, nft.ct(2), nft.mask(struct.pack("=I", _DNAT))),
            *(nft.compare(bytes(4), nft.NOT_EQUAL), nft.masquerade()),
        ),
    ]
    for family, suffix, words, source, destination in (
        (_IPV4, "4", "ip", _SOURCE4, _DESTINATION4),
        (_IPV6, "6", "ip6", _SOURCE6, _DESTINATION6),
    ):
        requests.append(
            nft.add_rule(
                *(*chain, f"{words} saddr . {words} daddr @own{suffix} masquerade"),
                *(nft.meta(nft.NFPROTO), nft.compare(bytes([family])), nft.network(*source)),
                *(nft.network(*destination, nft.REGISTER + source[1] // 4), nft.lookup(f"own{suffix}")),
                nft.masquerade(),
            )
        )
    return requests


def _forward(table: str) -> list[nft.Request]:
    """Decide what passes to and from the bridges."""
    chain = (table, "forward")
    to_bridge = (nft.meta(nft.OIFNAME), nft.lookup("bridges"))
    return [
        nft.add_rule(
            *(*chain, "ct state established,related accept"),
            *(nft.ct(0), nft.mask(struct.pack("=I", _ESTABLISHED_OR_RELATED))),
            *(nft.compare(bytes(4), nft.NOT_EQUAL), nft.verdict(nft.ACCEPT)),
        ),
        nft.add_rule(
            *(*chain, "iifname . oifname @same accept"),
            *(nft.meta(nft.IIFNAME), nft.meta(nft.OIFNAME, nft.REGISTER + 4), nft.lookup("same")),
            nft.verdict(nft.ACCEPT),
        ),
        nft.add_rule(
            *(*chain, "oifname @internal drop"),
            *(nft.meta(nft.OIFNAME), nft.lookup("internal"), nft.verdict(nft.DROP)),
        ),
        nft.add_rule(
            *(*chain, "iifname @internal drop"),
            *(nft.meta(nft.IIFNAME), nft.lookup("internal"), nft.verdict(nft.DROP)),
        ),
        nft.add_rule(
            *(*chain, "oifname @bridges ct status dnat accept"),
            *(*to_bridge, nft.ct(2), nft.mask(struct.pack("=I", _DNAT))),
            *(nft.compare(bytes(4), nft.NOT_EQUAL), nft.verdict(nft.ACCEPT)),
        ),
        nft.add_rule(*(*chain, "oifname @bridges drop"), *to_bridge, nft.verdict(nft.DROP)),
    ]
