"""The guard of rates: drops what containers send in excess, on the host's side of their links.

The queue on the container's own end (`queue.limit`) makes the rate even, without lost packets, but a process with
CAP_NET_ADMIN in the container can remove it. The host's end cannot have a queue for what comes in. So this is a
limit of nf_tables in the bridges' path: what exceeds the rate for longer than a second is dropped. Measured with
TCP at 1, 20 and 1000 Mbit/s: with the queue, the guard drops nothing; without, 96 to 104 % of the rate arrive, but
at 1 Mbit/s most packets are sent in vain. Therefore both.

    rates      a map: the host's end of a link → its limit, which has the same name
    version    the version of the table

The table is made with the first limit and stays. Source: nft(8), "Stateful objects"; net/netfilter/nft_limit.c:
with a rate per second, the bucket holds one second.
"""

from __future__ import annotations

import struct

from pyctr_lite.errors import PyctrError
from pyctr_lite.linux import netlink
from pyctr_lite.networks import nft, rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

    from pyctr_lite.linux.netlink import Socket

TABLE = "bridge pyctr_lite"
VERSION = 2
"""To be raised with each change of the table. A table of version 1 has no version."""
_PREROUTING, _FILTER = 0, -200
_NEWSET, _NEWOBJ, _DELOBJ = 0xA09, 0xA12, 0xA14
_LIMIT, _OBJECTS, _BYTES, _OVER, _NAME_LENGTH = 4, 0x40, 1, 1, 16


def ensure(sock: Socket) -> None:
    """Create the table; renew its rule if an older version of the engine made it. Its limits stay.

    So no container loses its limit. A set or map whose type changes needs a new name. A table that no version has
    made is replaced.
    """
    if rules.version(sock, TABLE) >= VERSION:
        return
    new = [nft.add_table(TABLE), *_content()]
    if not nft.has_table(sock, TABLE):
        try:
            nft.run(sock, new)
        except FileExistsError:
            pass  # another command has just made it
        return
    try:
        nft.run(sock, _content())
    except OSError:
        nft.run(sock, [nft.delete_table(TABLE), *new])


def add(sock: Socket, name: str, rate: int) -> None:
    """Let at most `rate` bytes per second come in from a port of a bridge. Replaces another limit.

    It asks before it changes anything, because a transaction that fails takes 15 ms: the kernel waits for RCU.
    Raises PyctrError if a newer version of the engine has made the table, and it is too different.
    """
    ensure(sock)
    old = _removal(name) if name in names(sock) else []
    new = nft.add_element(TABLE, "rates", f"{name} : {name}", nft.interface(name), object=name)
    try:
        nft.run(sock, [*old, _add_limit(name, rate), new])
    except OSError as error:
        if (found := rules.version(sock, TABLE)) <= VERSION:
            raise
        raise PyctrError(
            f"the table {TABLE} is of a newer version of pyctr_lite ({found}, not {VERSION}): {error.strerror}",
            f"start the container with that version; nft delete table {TABLE} lifts the limits of all containers",
        ) from None


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
    return [key.rstrip(b"\0").decode(errors="surrogateescape") for key, _ in found]


def sweep(sock: Socket, links: Container[str]) -> None:
    """Remove the limits of links that are not among these, which are all: killed processes left them behind."""
    ensure(sock)  # the names in an unknown table may be anything
    for name in names(sock):
        if name not in links:
            remove(sock, name)


def remove_all(sock: Socket) -> None:
    """Remove the table. Idempotent."""
    if nft.has_table(sock, TABLE):
        nft.run(sock, [nft.delete_table(TABLE)])


def _removal(name: str) -> list[nft.Request]:
    return [nft.delete_element(TABLE, "rates", name, nft.interface(name)), _delete_limit(name)]


def _content() -> list[nft.Request]:
    """Return the requests for all that is in the table, which may be there."""
    rule = (nft.meta(nft.IIFNAME), _exceeds_limit(), nft.verdict(nft.DROP))
    return [
        _add_map(),
        nft.add_set(TABLE, "version", 2, (nft.MARK,)),
        nft.add_chain(TABLE, "prerouting", "filter", _PREROUTING, _FILTER),
        nft.flush_chain(TABLE, "prerouting"),
        nft.flush_set(TABLE, "version"),
        nft.add_rule(TABLE, "prerouting", "limit name meta iifname map @rates drop", *rule),
        rules.mark(TABLE, VERSION),
    ]


def _add_map() -> nft.Request:
    body = netlink.text(2, "rates") + _number(10, 1) + _number(3, _OBJECTS) + _number(15, _LIMIT)
    body += _number(4, nft.IFNAME) + _number(5, _NAME_LENGTH) + netlink.attribute(13, nft.HOST_ORDER)
    return nft.request("add map", TABLE, "rates { type ifname : limit; }", _NEWSET, netlink.CREATE, body)


def _add_limit(name: str, rate: int) -> nft.Request:
    """Return the request for a limit in bytes per second. It matches what exceeds it."""
    content = netlink.attribute(1, struct.pack(">Q", rate)) + netlink.attribute(2, struct.pack(">Q", 1))
    content += _number(4, _BYTES) + _number(5, _OVER)
    body = netlink.text(2, name) + _number(3, _LIMIT) + netlink.nest(4, content)
    text = f"{name} {{ rate over {rate} bytes/second; }}"
    return nft.request("add limit", TABLE, text, _NEWOBJ, netlink.CREATE | netlink.EXCL, body)


def _delete_limit(name: str) -> nft.Request:
    return nft.request("delete limit", TABLE, name, _DELOBJ, 0, netlink.text(2, name) + _number(3, _LIMIT))


def _exceeds_limit() -> bytes:
    """Go on only if the register's value leads to a limit, and the packet exceeds it."""
    return nft.expression("objref", _number(3, nft.REGISTER), netlink.text(4, "rates"))


def _number(kind: int, value: int) -> bytes:
    return netlink.attribute(kind, struct.pack(">I", value))
