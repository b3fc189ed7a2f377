"""Forwarding of packets by this machine: switched on if it was off, and then closed to all but bridges.

A machine that forwards routes between all its links. Somebody who had it off did not want that. So a chain of our
table then drops what is forwarded neither from nor to a bridge; other engines' bridges are not ours to close. As
IPv6 forwarding makes the kernel ignore router advertisements, uplinks that heard them go on to (accept_ra 2).

The kernel keeps what we have changed: the chains closed4 and closed6 exist if it was us who switched forwarding
on, the set accept_ra has the uplinks. Both end with the network namespace, as the settings do. Who wants this
machine to be a router deletes the chain. Source: kernel Documentation/networking/ip-sysctl.rst.
"""

from __future__ import annotations

import _socket

from pyctr_lite.linux import kernelfile
from pyctr_lite.networks import link, nft, rules, tables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.linux.netlink import Socket

SETTINGS = {4: "/proc/sys/net/ipv4/ip_forward", 6: "/proc/sys/net/ipv6/conf/all/forwarding"}
"""The settings by the version of IP."""
_FAMILIES = {4: _socket.AF_INET, 6: _socket.AF_INET6}
_ACCEPT_RA = "accept_ra"


def is_on(version: int) -> bool:
    """Return whether this machine forwards IPv4 (4) or IPv6 (6)."""
    return kernelfile.read(SETTINGS[version]) == "1"


def is_ours(filter: Socket, version: int) -> bool:
    """Return whether it was an engine that switched forwarding on."""
    return tables.chain(filter, f"inet {rules.TABLE}", _chain(version)) is not None


def switch_on(route: Socket, filter: Socket, version: int) -> None:
    """Let this machine forward IPv4 (4) or IPv6 (6), unless it does. The engine's table must exist. Idempotent."""
    if is_on(version):
        return
    if version == 6:
        _keep_advertisements(route, filter)
    if not is_ours(filter, version):
        nft.run(filter, _closed(version))  # first: at no moment does it route between other links
    kernelfile.write(SETTINGS[version], "1")


def restore(route: Socket, filter: Socket) -> list[str]:
    """Undo `switch_on`, unless other bridges need it: their names are returned. Idempotent.

    The caller has removed our bridges, and removes the table afterwards.
    """
    switched = [version for version in SETTINGS if is_ours(filter, version)]
    others = [found.name for found in link.links(route) if found.kind == "bridge"] if switched else []
    for version in [] if others else switched:
        kernelfile.write(SETTINGS[version], "0")
        if version == 6:
            _restore_advertisements(filter)
    return others


def _chain(version: int) -> str:
    return f"closed{version}"


def _closed(version: int) -> list[nft.Request]:
    """Drop what comes from no bridge and goes to none.

    Rules that accept bridges come first, because "is no bridge" never matches hardware: it has no kind to compare.
    """
    where = (rules.TABLE, _chain(version))
    words = f"meta nfproto ipv{version}"
    same = (nft.meta(nft.NFPROTO), nft.compare(bytes([_FAMILIES[version]])))
    requests = [nft.add_chain(*where, "filter", tables.FORWARD, 0)]
    for word, key in (("iifkind", nft.IIFKIND), ("oifkind", nft.OIFKIND)):
        is_bridge = (nft.meta(key), nft.compare(nft.interface("bridge")))
        requests.append(
            nft.add_rule(
                *where, f'{words} meta {word} "bridge" accept', *same, *is_bridge, nft.verdict(nft.ACCEPT)
            )
        )
    requests.append(nft.add_rule(*where, f"{words} drop", *same, nft.verdict(nft.DROP)))
    return requests


def _keep_advertisements(route: Socket, filter: Socket) -> None:
    uplinks = link.default_links(route, _socket.AF_INET6)
    for found in link.links(route) if uplinks else ():
        if found.index in uplinks and kernelfile.read(_setting(found.name)) == "1":
            remember = nft.add_element(rules.TABLE, _ACCEPT_RA, found.name, nft.interface(found.name))
            try:
                nft.run(filter, [nft.add_set(rules.TABLE, _ACCEPT_RA, 1, (nft.IFNAME,)), remember])
            except FileExistsError:
                pass  # it has been set back since
            kernelfile.write(_setting(found.name), "2")


def _restore_advertisements(filter: Socket) -> None:
    try:
        elements = nft.elements(filter, rules.TABLE, _ACCEPT_RA)
    except FileNotFoundError:
        return
    for key, _ in elements:
        try:
            kernelfile.write(_setting(key.rstrip(b"\0").decode(errors="surrogateescape")), "1")
        except FileNotFoundError:
            pass  # the link is gone


def _setting(name: str) -> str:
    return f"/proc/sys/net/ipv6/conf/{name}/accept_ra"
