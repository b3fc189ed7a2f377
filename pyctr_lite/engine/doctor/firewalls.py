"""Findings about other programs' packet filters that drop what comes from containers or goes to them."""

from __future__ import annotations

from pyctr_lite.engine.doctor.finding import Finding
from pyctr_lite.errors import PyctrError
from pyctr_lite.networks import firewalld, foreign, iptables, nft, rules, tables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyctr_lite.linux.netlink import Socket

_AGAIN = "start a container of the network again"
_OWNERS = {"DOCKER-USER": "Docker", "ufw-before-forward": "ufw", "ufw6-before-forward": "ufw"}
"""Chains that show who made FORWARD drop."""
_PROGRAMS = dict(zip(foreign.IPTABLES, ("iptables", "ip6tables"), strict=True))
_KNOWN = {*foreign.IPTABLES, foreign.FIREWALLD, f"inet {rules.TABLE}"}


def findings(sock: Socket, bridges: Sequence[str]) -> Iterator[Finding]:
    """Examine each filter on this machine, given the names of our bridges."""
    present = nft.tables(sock)
    found = [
        *_iptables(sock, [table for table in foreign.IPTABLES if table in present], bridges),
        *_legacy(bridges),
        *(_firewalld(sock, bridges) if foreign.FIREWALLD in present else ()),
        *_nftables(sock),
    ]
    yield from found
    if not found:
        yield Finding("networks", "firewalls", True, "no other program's packet filter drops what is forwarded")


def _iptables(sock: Socket, present: Sequence[str], bridges: Sequence[str]) -> Iterator[Finding]:
    for table in present:
        if iptables.is_closed(sock, table):
            who = [owner for chain, owner in _OWNERS.items() if tables.chain(sock, table, chain)]
            blocked = [bridge for bridge in bridges if not iptables.is_open_for(sock, table, bridge)]
            yield _closed(_PROGRAMS[table], " and ".join(who), bridges, blocked)


def _legacy(bridges: Sequence[str]) -> Iterator[Finding]:
    for program in foreign.legacy_programs():
        try:
            listed = iptables.list_legacy(program)
        except PyctrError as error:
            yield Finding("networks", program, False, error.message, error.hint or f"{program} -S shows more")
            continue
        if iptables.is_closed_legacy(listed):
            blocked = [bridge for bridge in bridges if iptables.missing_legacy(listed, bridge)]
            yield _closed(program, "", bridges, blocked)
        else:
            yield Finding("networks", program, True, "legacy tables are in use too; they let containers pass")


def _closed(program: str, who: str, bridges: Sequence[str], blocked: Sequence[str]) -> Finding:
    text = f"FORWARD drops by default{f' ({who})' if who else ''}"
    if blocked:
        name = iptables.shown(blocked[0], "+")
        fix = " && ".join(f"{program} -I FORWARD {option} {name} -j ACCEPT" for option in ("-i", "-o"))
        text += f", and has no rules for {', '.join(blocked)}"
        return Finding("networks", program, False, text, f"{_AGAIN}, or {fix}")
    text += "; two rules let our bridges pass" if bridges else "; the first network gets rules that let it pass"
    return Finding("networks", program, True, text)


def _firewalld(sock: Socket, bridges: Sequence[str]) -> Iterator[Finding]:
    outside = [bridge for bridge in bridges if not firewalld.has(sock, bridge)]
    if outside:
        client = f"firewall-cmd --zone={firewalld.ZONE}" + "".join(f" --add-interface={name}" for name in outside)
        text = f"running, and rejects what containers of {', '.join(outside)} send: they are in no zone"
        yield Finding("networks", "firewalld", False, text, f"{_AGAIN}, or {client}")
    else:
        text = f"running; its zone {firewalld.ZONE} has our bridges" if bridges else "running"
        yield Finding("networks", "firewalld", True, text)


def _nftables(sock: Socket) -> Iterator[Finding]:
    """Find chains that an administrator has written for nft(8). The engine does not change them."""
    for chain in tables.chains(sock):
        if chain.hook != tables.FORWARD or chain.table in _KNOWN or chain.table.startswith("bridge "):
            continue
        content = tables.rules(sock, chain.table, chain.name)
        if chain.policy != nft.DROP and not any(rule.decides() == nft.DROP for rule in content):
            continue
        name = f"{chain.table} {chain.name}"
        missing = iptables.missing(content, iptables.PREFIX)
        if missing:
            rule = '{} \\"' + iptables.PREFIX + '*\\" accept'
            fix = " && ".join(f"nft insert rule {name} {rule.format(word)}" for word, _ in missing)
            text = f"the chain {name} drops what is forwarded, from and to containers, too"
            yield Finding("networks", "nftables", False, text, f"{fix}; and write it into /etc/nftables.conf")
        else:
            yield Finding("networks", "nftables", True, f"the chain {name} drops, and lets our bridges pass")
