"""Tables of nf_tables that other programs have made, such as iptables-nft: what is in them.

Nothing here waits for RCU, unless it changes something. Source: linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import struct

from pyctr_lite.linux import netlink
from pyctr_lite.networks import nft

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.linux.netlink import Socket

_GETCHAIN, _GETRULE, _DELRULE = 0xA04, 0xA07, 0xA08

FORWARD = 2
"""The hook that packets pass which this machine routes."""


class Chain:
    """A chain as the kernel describes it: its table as "ip filter"; hook and policy are None if it has no hook."""

    __slots__ = ("hook", "name", "policy", "table")

    def __init__(self, table: str, name: str, hook: int | None, policy: int | None) -> None:
        self.table, self.name, self.hook, self.policy = table, name, hook, policy


class Rule:
    """A rule: its handle, and its expressions, each a name and its attributes."""

    __slots__ = ("expressions", "handle")

    def __init__(self, handle: int, expressions: list[tuple[str, dict[int, bytes]]]) -> None:
        self.handle, self.expressions = handle, expressions

    def decides(self) -> int | None:
        """Return DROP or ACCEPT if the rule does nothing but decide, REJECT as DROP; None for every other rule."""
        rest = [expression for expression in self.expressions if expression[0] != "counter"]
        if len(rest) != 1:
            return None
        name, given = rest[0]
        if name == "reject" or (name == "target" and given.get(1, b"").rstrip(b"\0") in (b"REJECT", b"DROP")):
            return nft.DROP
        return _verdict(given) if name == "immediate" else None

    def passes(self, key: int, pattern: bytes) -> bool:
        """Return whether the rule accepts what has an interface with this name, and does nothing else."""
        counted = [(name, given) for name, given in self.expressions if name != "counter"]
        if [name for name, _ in counted] != ["meta", "cmp", "immediate"]:
            return False
        (_, meta), (_, compared), (_, immediate) = counted
        same = netlink.attributes(compared[3]).get(1) == pattern and _int(compared[2]) == nft.EQUAL
        return same and _int(meta[2]) == key and _verdict(immediate) == nft.ACCEPT


def chains(sock: Socket) -> list[Chain]:
    """List the chains of all tables."""
    answers = sock.request("nft list chains", _GETCHAIN, netlink.DUMP, bytes(nft.HEAD))
    return [_chain(answer) for _, answer in answers if answer[0] in nft.WORDS]


def chain(sock: Socket, table: str, name: str) -> Chain | None:
    """Return a chain, None if there is none."""
    try:
        answers = sock.request(*nft.request("list chain", table, name, _GETCHAIN, 0, netlink.text(3, name)))
    except FileNotFoundError:
        return None
    return _chain(answers[0][1])


def rules(sock: Socket, table: str, chain: str) -> list[Rule]:
    """List the rules of a chain. Raises FileNotFoundError if there is none."""
    body = netlink.text(2, chain)
    found = []
    for _, answer in sock.request(*nft.request("list chain", table, chain, _GETRULE, netlink.DUMP, body)):
        given = netlink.attributes(answer[nft.HEAD :])
        expressions = []
        for _, expression in netlink.each_attribute(given.get(4, b"")):
            parts = netlink.attributes(expression)
            expressions.append((parts[1].rstrip(b"\0").decode(), netlink.attributes(parts.get(2, b""))))
        found.append(Rule(struct.unpack(">Q", given[3])[0], expressions))
    return found


def delete_rule(table: str, chain: str, rule: Rule) -> nft.Request:
    """Return the request that removes a rule. It fails with ENOENT if there is none."""
    body = netlink.text(2, chain) + netlink.attribute(3, struct.pack(">Q", rule.handle))
    return nft.request("delete rule", table, f"{chain} handle {rule.handle}", _DELRULE, 0, body)


def mentions(sock: Socket, table: str, interface: str) -> bool:
    """Return whether a rule of the table compares with exactly this name of an interface."""
    wanted = netlink.attribute(1, nft.interface(interface))
    request = nft.request("list table", table, "", _GETRULE, netlink.DUMP)
    return any(wanted in answer for _, answer in sock.request(*request))


def _chain(answer: bytes) -> Chain:
    given = netlink.attributes(answer[nft.HEAD :])
    table, name = (given[kind].rstrip(b"\0").decode(errors="surrogateescape") for kind in (1, 3))
    hook = _int(netlink.attributes(given[4])[1]) if 4 in given else None
    return Chain(f"{nft.WORDS[answer[0]]} {table}", name, hook, _int(given[5]) if 5 in given else None)


def _verdict(immediate: dict[int, bytes]) -> int | None:
    """Return the verdict of an expression "immediate", None if it loads something else."""
    decided = netlink.attributes(netlink.attributes(immediate.get(2, b"")).get(2, b""))
    return struct.unpack(">i", decided[1])[0] if 1 in decided else None


def _int(value: bytes) -> int:
    return int.from_bytes(value)
