"""The guard of rates: drops what containers send in excess, on the host's side of their links.

The queue on the container's own end (`queue.limit`) makes the rate even, without lost packets, but a process with
CAP_NET_ADMIN in the container can remove it. The host's end cannot have a queue for what comes in. So this is a
limit of nf_tables in the bridges' path: what exceeds the rate for longer than a second is dropped. Measured with
TCP at 1, 20 and 1000 Mbit/s: with the queue, the guard drops nothing; without, 96 to 104 % of the rate arrive, but
at 1 Mbit/s most packets are sent in vain. Therefore both.

    rates      a map: the host's end of a link → its limit, which has the same name

The table is made with the first limit and stays. Source: nft(8), "Stateful objects"; net/netfilter/nft_limit.c:
with a rate per second, the bucket holds one second.
"""

from __future__ import annotations

from pyctr_lite.networks import nft

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

    from pyctr_lite.linux.netlink import Socket

TABLE = "bridge pyctr_lite"
_PREROUTING, _FILTER = 0, -200


def add(sock: Socket, name: str, rate: int) -> None:
    """Let at most `rate` bytes per second come in from a port of a bridge. Replaces another limit.

    It asks before it changes anything, because a transaction that fails takes 15 ms: the kernel waits for RCU.
    """
    old = _removal(name) if name in names(sock) else []
    if not nft.has_table(sock, TABLE):
        _add_table(sock)
    new = nft.add_element(TABLE, "rates", f"{name} : {name}", nft.interface(name), object=name)
    nft.run(sock, [*old, nft.add_limit(TABLE, name, rate), new])


def remove(sock: Socket, name: str) -> None:
    """Undo `add`. Idempotent."""
    if name in names(sock):
        nft.run(sock, _removal(name))


def names(sock: Socket) -> list[str]:
    """List the links that have a limit."""
    try:
        found = nft.elements(sock, TABLE, "rates")
    except FileNotFoundError:
        return []
    return [key.rstrip(b"\0").decode() for key, _ in found]


def sweep(sock: Socket, links: Container[str]) -> None:
    """Remove the limits of links that are not among these, which are all: killed processes left them behind."""
    for name in names(sock):
        if name not in links:
            remove(sock, name)


def remove_all(sock: Socket) -> None:
    """Remove the table. Idempotent."""
    if nft.has_table(sock, TABLE):
        nft.run(sock, [nft.delete_table(TABLE)])


def _removal(name: str) -> list[nft.Request]:
    return [nft.delete_element(TABLE, "rates", name, nft.interface(name)), nft.delete_limit(TABLE, name)]


def _add_table(sock: Socket) -> None:
    rule = (nft.meta(nft.IIFNAME), nft.limit("rates"), nft.verdict(nft.DROP))
    requests = [
        nft.add_table(TABLE),
        nft.add_limit_map(TABLE, "rates", 1),
        nft.add_chain(TABLE, "prerouting", "filter", _PREROUTING, _FILTER),
        nft.add_rule(TABLE, "prerouting", "limit name meta iifname map @rates drop", *rule),
    ]
    try:
        nft.run(sock, requests)
    except FileExistsError:
        pass  # another command has just made it
