"""The engine's packet filter: one table, made once; then only elements of its sets and maps change.

    bridges     the bridges of our networks            internal   those of networks without a way out
    hidden      those whose containers appear to other machines under an address of this one
    same        pairs of a bridge with itself, where containers of one network may talk
    own4, own6  pairs of a container's address with itself: a container that calls its own published port
    ports4, ports6   protocol . address . port → a container's address . port: published on one address
    any4, any6       protocol . port → a container's address . port: published on all addresses
    proxied_ports6, proxied_any6   the same of ports that no rule leads to a container, but the proxy serves
    version     the version of the rules

To replace the table at every start would take 12 to 20 ms, an element takes 0.09 ms. And an element cannot be
created twice: that a port is taken costs no search.
"""

from __future__ import annotations

import _socket
import struct

from pyctr_lite.networks import link, nft

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pyctr_lite.linux.netlink import Socket

TABLE = "pyctr_lite"
VERSION = 3
"""To be raised with each change of the rules or sets in `chains`."""
PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}

_IPV4 = _socket.AF_INET


def exist(sock: Socket) -> bool:
    """Return whether the table exists."""
    return nft.has_table(sock, TABLE)


def are_current(sock: Socket) -> bool:
    """Return whether the table exists and has the present rules, or those of a newer version."""
    return version(sock, TABLE) >= VERSION


def version(sock: Socket, table: str) -> int:
    """Return the version of a table of the engine, 0 if it has none or does not exist."""
    try:
        return max((struct.unpack("=I", key)[0] for key, _ in nft.elements(sock, table, "version")), default=0)
    except FileNotFoundError:
        return 0


def mark(table: str, version: int) -> nft.Request:
    """Return the request that gives a table a version. It fails with EEXIST if it has that one."""
    return nft.add_element(table, "version", str(version), struct.pack("=I", version))


def ensure(sock: Socket) -> None:
    """Create the table with its sets and rules; renew the rules if an older version of the engine made it."""
    if are_current(sock):
        return
    from pyctr_lite.networks import chains

    requests = chains.renewal if exist(sock) else chains.requests_for
    try:
        nft.run(sock, requests(TABLE, VERSION))
    except FileExistsError:
        pass  # another command has just made it


def remove(sock: Socket) -> None:
    """Remove the table. Idempotent. Takes 12 to 20 ms: the kernel waits until no packet uses it."""
    try:
        nft.run(sock, [nft.delete_table(TABLE)])
    except FileNotFoundError:
        pass


def add_bridge(
    sock: Socket, name: str, *, internal: bool = False, together: bool = True, masquerade: bool = True
) -> None:
    """Let a bridge's containers out unless it is `internal`, and to each other if `together`. Idempotent.

    With `masquerade` their packets get an address of this machine on the way out.
    """
    for set, fields, wanted in _bridge_elements(internal, together, masquerade):
        if wanted:
            _add(sock, set, " . ".join([name] * fields), _pair(name, fields))


def remove_bridge(sock: Socket, name: str) -> None:
    """Undo `add_bridge`. Idempotent."""
    for set, fields, _ in _bridge_elements(internal=True, together=True, masquerade=True):
        _delete(sock, set, " . ".join([name] * fields), _pair(name, fields))


def publish(sock: Socket, protocol: str, host: str, port: int, address: str, container_port: int) -> None:
    """Lead a port of this machine, on its address `host` or on all ("0.0.0.0", "::"), to a container's.

    That is one element of a map in the table TABLE; each field is in network byte order:
    `ports4` and `ports6` have protocol . address . port → address . port of the container, and `any4` and `any6`,
    for all addresses of this machine, protocol . port → address . port of the container.
    A protocol is one byte, a number of PROTOCOLS; a port has two bytes. Any other one is an error.
    Fails with EEXIST if the port is published on that address, ENOENT without the table; the error says what was
    asked, as nft(8) writes the element: "tcp . 192.0.2.1 . 8080 : 10.1.0.2 . 80".
    """
    set, text, key = _published(protocol, host, port)
    data = nft.concatenation(link.parse(address)[1], struct.pack(">H", container_port))
    nft.run(sock, [nft.add_element(TABLE, set, f"{text} : {address} . {container_port}", key, data)])


def is_published(sock: Socket, protocol: str, host: str, port: int) -> bool:
    """Return whether a port is published on an address of this machine, or on all. Reads all published ports."""
    every = "::" if ":" in host else "0.0.0.0"
    keys = {(set, key) for set, _, key in (_published(protocol, given, port) for given in (host, every))}
    return any(key == given for set, key in keys for given, _ in nft.elements(sock, TABLE, set))


def guard(sock: Socket, protocol: str, host: str, port: int) -> None:
    """Keep containers of internal networks from a port on an IPv6 address, or on all, that the proxy serves.

    The proxy connects from this machine, so the chain `forward` would not stop them. Idempotent.
    """
    set, text, key = _published(protocol, host, port)
    _add(sock, f"proxied_{set}", text, key)


def withdraw(sock: Socket, protocol: str, host: str, port: int) -> None:
    """Undo `publish` and `guard`. Idempotent."""
    set, text, key = _published(protocol, host, port)
    _delete(sock, set, text, key)
    if ":" in host:
        _delete(sock, f"proxied_{set}", text, key)


def add_own(sock: Socket, address: str) -> None:
    """Let a container reach its own published ports by this machine's address. Idempotent."""
    _add(sock, *_own(address))


def remove_own(sock: Socket, address: str) -> None:
    """Undo `add_own`. Idempotent."""
    _delete(sock, *_own(address))


def _add(sock: Socket, set: str, text: str, key: bytes) -> None:
    """Add an element. Idempotent.

    The kernel is asked first, because a transaction that fails takes 15 ms: it waits until no packet uses it.
    """
    if nft.has_element(sock, TABLE, set, text, key):
        return
    try:
        nft.run(sock, [nft.add_element(TABLE, set, text, key)])
    except FileExistsError:
        pass  # another command has just added it


def _delete(sock: Socket, set: str, text: str, key: bytes) -> None:
    """Delete an element. Idempotent; as in `_add`, the kernel is asked first."""
    if not nft.has_element(sock, TABLE, set, text, key):
        return
    try:
        nft.run(sock, [nft.delete_element(TABLE, set, text, key)])
    except FileNotFoundError:
        pass  # another command has just deleted it


def _bridge_elements(internal: bool, together: bool, masquerade: bool) -> tuple[tuple[str, int, bool], ...]:
    """Return each set that may have a bridge, the number of times that an element names it, and whether it has."""
    return ("bridges", 1, True), ("hidden", 1, masquerade), ("internal", 1, internal), ("same", 2, together)


def _pair(name: str, fields: int) -> bytes:
    return nft.concatenation(*[nft.interface(name)] * fields)


def _published(protocol: str, host: str, port: int) -> tuple[str, str, bytes]:
    family, packed = link.parse(host)
    suffix = "4" if family == _IPV4 else "6"
    fields = [bytes([PROTOCOLS[protocol]]), struct.pack(">H", port)]
    if not any(packed):
        return f"any{suffix}", f"{protocol} . {port}", nft.concatenation(*fields)
    fields.insert(1, packed)
    return f"ports{suffix}", f"{protocol} . {host} . {port}", nft.concatenation(*fields)


def _own(address: str) -> tuple[str, str, bytes]:
    family, packed = link.parse(address)
    return f"own{'4' if family == _IPV4 else '6'}", f"{address} . {address}", nft.concatenation(packed, packed)
