"""Rules in the tables of iptables, so that it lets pass what the engine's own table has allowed.

A packet must be accepted by every table of the machine. If iptables' chain FORWARD drops by default (Docker, ufw),
two rules let pass what comes from our bridges and what goes to them; our own table decides on it. They stand in
Docker's chain for such rules, DOCKER-USER, or at the head of FORWARD. `iptables -S` shows them:

    -A FORWARD -i pc-+ -j ACCEPT
    -A FORWARD -o pc-+ -j ACCEPT

The tables of iptables-nft belong to nf_tables, and are read and written by netlink. Those of iptables-legacy are
another part of the kernel, left to its own program. Source: iptables(8), and Docker on "Packet filtering".
"""

from __future__ import annotations

import os

from pyctr_lite.errors import NotFound, PyctrError
from pyctr_lite.networks import nft, tables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyctr_lite.linux.netlink import Socket

PREFIX = "pc-"
"""The beginning of our bridges' names, unless --opt com.docker.network.bridge.name gave another."""
_CHAINS = ("DOCKER-USER", "FORWARD")
_DIRECTIONS = (("-i", "iifname", nft.IIFNAME), ("-o", "oifname", nft.OIFNAME))
_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"


def ensure(sock: Socket, table: str, bridge: str) -> None:
    """Put the rules for a bridge into a table of iptables-nft, if its chain FORWARD drops. Idempotent."""
    if not is_closed(sock, table):
        return
    chain = next(name for name in _CHAINS if tables.chain(sock, table, name))
    requests = []
    for word, key in missing([rule for name in _CHAINS for rule in _rules(sock, table, name)], bridge):
        text = f'{word} "{shown(bridge, "*")}" counter accept'
        compared = (nft.meta(key), nft.compare(_pattern(bridge)))
        requests.append(nft.insert_rule(table, chain, text, *compared, nft.counter(), nft.verdict(nft.ACCEPT)))
    if requests:
        nft.run(sock, requests)


def remove(sock: Socket, table: str, bridge: str) -> None:
    """Take the rules for a bridge, and others with its prefix, out of a table of iptables-nft. Idempotent."""
    requests = [
        tables.delete_rule(table, chain, rule)
        for chain in _CHAINS
        for rule in _rules(sock, table, chain)
        if any(rule.passes(key, _pattern(bridge)) for _, _, key in _DIRECTIONS)
    ]
    if requests:
        nft.run(sock, requests)


def is_closed(sock: Socket, table: str) -> bool:
    """Return whether the chain FORWARD of a table drops by its policy, or by a rule for every packet."""
    chain = tables.chain(sock, table, "FORWARD")
    if chain is None:
        return False
    return chain.policy == nft.DROP or any(rule.decides() == nft.DROP for rule in _rules(sock, table, "FORWARD"))


def is_open_for(sock: Socket, table: str, bridge: str) -> bool:
    """Return whether a table has the rules for a bridge."""
    return not missing([rule for name in _CHAINS for rule in _rules(sock, table, name)], bridge)


def missing(rules: Sequence[tables.Rule], bridge: str) -> list[tuple[str, int]]:
    """Return the directions, in words of nft(8) and as a key of `meta`, in which no rule accepts a bridge."""
    pattern = _pattern(bridge)
    return [(word, key) for _, word, key in _DIRECTIONS if not any(rule.passes(key, pattern) for rule in rules)]


def ensure_legacy(program: str, bridge: str) -> None:
    """Put the rules for a bridge into the table of iptables-legacy, if it drops. Idempotent.

    Raises NotFound without the program, PyctrError if it fails.
    """
    listed = list_legacy(program)
    if not is_closed_legacy(listed):
        return
    chain = "DOCKER-USER" if "-N DOCKER-USER" in listed else "FORWARD"
    for rule in missing_legacy(listed, bridge):
        _run(program, "-I", chain, *rule.split())


def missing_legacy(listed: Sequence[str], bridge: str) -> list[str]:
    """Return those of the rules for a bridge that are not among the lines of `iptables-legacy -S`."""
    rules = [_legacy_rule(option, bridge) for option, _, _ in _DIRECTIONS]
    return [rule for rule in rules if not any(f"-A {name} {rule}" in listed for name in _CHAINS)]


def remove_legacy(program: str, bridge: str) -> None:
    """Take the rules for a bridge, and others with its prefix, out of the table of iptables-legacy. Idempotent."""
    wanted = {_legacy_rule(option, bridge) for option, _, _ in _DIRECTIONS}
    for line in list_legacy(program):
        for chain in _CHAINS:
            if line.startswith(f"-A {chain} ") and line.removeprefix(f"-A {chain} ") in wanted:
                _run(program, "-D", *line.split()[1:])


def is_closed_legacy(listed: list[str]) -> bool:
    """Return whether the chain FORWARD drops, given all lines of `iptables-legacy -S`."""
    last = ("-j DROP", "-j REJECT")
    return "-P FORWARD DROP" in listed or any(
        line.startswith(f"-A FORWARD {end}") for line in listed for end in last
    )


def list_legacy(program: str) -> list[str]:
    """Return the lines of `iptables-legacy -S`. Raises NotFound without the program, PyctrError if it fails."""
    return _run(program, "-S").splitlines()


def shown(bridge: str, wildcard: str) -> str:
    """Return the names that the rules for a bridge match, "pc-+" for iptables with the wildcard +."""
    return f"{PREFIX}{wildcard}" if bridge.startswith(PREFIX) else bridge


def _rules(sock: Socket, table: str, chain: str) -> list[tables.Rule]:
    try:
        return tables.rules(sock, table, chain)
    except FileNotFoundError:
        return []


def _pattern(bridge: str) -> bytes:
    """Return what iptables-nft compares a name with: for a prefix without the zero byte at the end."""
    return PREFIX.encode() if bridge.startswith(PREFIX) else bridge.encode() + b"\0"


def _legacy_rule(option: str, bridge: str) -> str:
    return f"{option} {shown(bridge, '+')} -j ACCEPT"


def _run(program: str, *arguments: str) -> str:
    import subprocess

    command = [program, "-w", *arguments]
    environment = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{_PATH}"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
    except FileNotFoundError:
        raise NotFound(
            f"this machine uses legacy tables of iptables, and {program} is missing, which could read them",
            "install the package iptables; the tables may drop what containers send",
        ) from None
    if done.returncode:
        raise PyctrError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
