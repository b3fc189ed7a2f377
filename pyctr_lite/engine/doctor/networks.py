"""Findings about networks: features of the kernel, settings of this machine, subnets, other engines."""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.engine.doctor import firewalls, kernel, running
from pyctr_lite.engine.doctor.finding import Finding
from pyctr_lite.engine.network import neighbours
from pyctr_lite.linux import kernelfile
from pyctr_lite.networks import bridge, forwarding, guard, link, nft, queue, removal, rules
from pyctr_lite.networks.pool import Subnet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pyctr_lite.engine.home import Home
    from pyctr_lite.networks.bridge import Sockets

_BRIDGE_FILTER = "/proc/sys/net/bridge/bridge-nf-call-iptables"


def findings(home: Home) -> Iterator[Finding]:
    """Examine the kernel in a namespace of its own; then what is on this machine, and what stands in our way."""
    problem = kernel.problem_in_child(_make_network)
    text = problem or "the kernel makes bridges, cables between namespaces, and address translation"
    fix = "a kernel with bridge, veth and nf_tables (nat, masq, fib): modprobe nf_tables bridge veth"
    yield Finding("networks", "bridges", not problem, text, fix)
    problem = kernel.problem_in_child(_make_limits)
    text = problem or "--network-rate-in and --network-rate-out can be kept"
    yield Finding("networks", "rates", not problem, text, "a kernel with sch_tbf and nft_limit", needed=False)
    try:
        with bridge.Sockets() as sockets:
            ours = removal.bridges(sockets)
            yield from _forwarding(sockets, home, ours)
            yield from _tables(sockets)
            yield from firewalls.findings(sockets.filter, list(ours))
            yield _subnets(sockets, home)
            yield from running.cables(home, sockets)
            yield from _engines(sockets, home, ours)
    except OSError as error:
        yield Finding("networks", "packet filter", False, str(error), "a kernel with nf_tables")
    yield _bridge_filter()


def _make_network() -> None:
    linux.unshare(linux.CLONE_NEWNET)
    with bridge.Sockets() as sockets:
        rules.ensure(sockets.filter)
        index = link.add_bridge(sockets.route, "pc-doctor", "02:42:00:00:00:01")
        link.add_veth(sockets.route, "pv-doctor", index, os.getpid(), "eth0", "")
        rules.add_bridge(sockets.filter, "pc-doctor")
        rules.publish(sockets.filter, "tcp", "0.0.0.0", 80, "172.17.0.2", 80)


def _make_limits() -> None:
    linux.unshare(linux.CLONE_NEWNET)
    with bridge.Sockets() as sockets:
        queue.limit(sockets.route, link.index(sockets.route, "lo"), 10**6)
        guard.add(sockets.filter, "lo", 10**6)


def _forwarding(sockets: Sockets, home: Home, ours: Mapping[str, str]) -> Iterator[Finding]:
    """Examine the settings. Without a bridge they may be off: the first container switches them on."""
    has_ipv6 = any(":" in row[0] for network in home.networks.list() for row in network.subnets)
    for version in (4, 6) if has_ipv6 else (4,):
        path = forwarding.SETTINGS[version]
        name = path.removeprefix("/proc/sys/").replace("/", ".")
        if not forwarding.is_on(version):
            text = "off: containers reach only their own network" if ours else "off until a container needs it"
            fix = f"sysctl -w {name}=1, and look in /etc/sysctl.d for the file that switches it off"
        else:
            text, fix = "on", ""
            if forwarding.is_ours(sockets.filter, version):
                chain = f"inet {rules.TABLE} closed{version}"
                text = f"on since our first container, for bridges only (nft delete chain {chain}: for all links)"
        yield Finding("networks", name.removeprefix("net."), not fix or not ours, text, fix)


def _tables(sockets: Sockets) -> Iterator[Finding]:
    """Say which version of the engine made its tables: after an upgrade, old ones stay until the next start."""
    own, others = [], []
    for table, version in ((f"inet {rules.TABLE}", rules.VERSION), (guard.TABLE, guard.VERSION)):
        if nft.has_table(sockets.filter, table):
            found = rules.version(sockets.filter, table)
            if found == version:
                own.append(table)
            else:
                others.append(f"{table} ({'older' if found < version else 'newer'})")
    if others:
        text = f"made by another version: {', '.join(others)}; the next start renews what is older"
        yield Finding("networks", "tables", True, text)
    elif own:
        yield Finding("networks", "tables", True, f"made by this version: {', '.join(own)}")


def _subnets(sockets: Sockets, home: Home) -> Finding:
    """Look for networks whose addresses are somebody else's, too: a VPN that was started later.

    One that has no bridge, and whose subnet was the engine's choice, gets another subnet at the next start.
    """
    links = {found.index: found.name for found in link.links(sockets.route)}
    taken = [*link.addresses(sockets.route), *link.routes_of_links(sockets.route)]
    for network in home.networks.list():
        for text, _, _ in network.subnets:
            if text not in network.given and network.bridge not in links.values():
                continue
            for number, address, prefix in taken:
                other = f"{address}/{prefix}"
                if not address or links.get(number) == network.bridge or not prefix:
                    continue
                if Subnet(text).overlaps(Subnet(other)):
                    problem = f"network {network.name} ({text}) overlaps {other} of {links.get(number, 'a route')}"
                    fix = (
                        "make another network with a free --subnet, and connect its containers to that"
                        if text in network.given
                        else f"stop its containers, and ip link delete {network.bridge}: then it gets another"
                    )
                    return Finding("networks", "subnets", False, problem, fix, needed=False)
    return Finding("networks", "subnets", True, "no network overlaps another of this machine's")


def _engines(sockets: Sockets, home: Home, ours: Mapping[str, str]) -> Iterator[Finding]:
    roots = {neighbours.root_of(directory) for directory in ours.values()} - {home.paths.root}
    others = [
        found.name for found in link.links(sockets.route) if found.kind == "bridge" and found.name not in ours
    ]
    text = "; ".join(
        [
            *([f"also of pyctr_lite with the state in {', '.join(sorted(roots))}"] if roots else []),
            *([f"of other programs: {', '.join(sorted(others))}"] if others else []),
        ]
    )
    yield Finding("networks", "neighbours", True, f"bridges {text}" if text else "no bridges but our own")
    own = f"{home.networks.directory}/"
    lost = [name for name, directory in removal.orphans(sockets).items() if not directory.startswith(own)]
    if lost:
        fix = " && ".join(f"ip link delete {name}" for name in lost)
        text = f"the state directories of these bridges are gone: {', '.join(lost)}"
        yield Finding("networks", "abandoned", False, text, fix, needed=False)


def _bridge_filter() -> Finding:
    """Say whether containers of one network pass the filters, which explains counters and what others drop."""
    try:
        on = kernelfile.read(_BRIDGE_FILTER) == "1"
        text = (
            "on: packets within a network pass iptables, too"
            if on
            else "off: packets within a network pass freely"
        )
    except FileNotFoundError:
        text = "not loaded: packets within a network pass freely"
    return Finding("networks", "br_netfilter", True, text)
