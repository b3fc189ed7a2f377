"""A name without an AAAA record is answered with NXDOMAIN: musl gives up, although there is an A record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_lite.networks import dns, resolver

if TYPE_CHECKING:
    from pyctr_lite.networks.dns import Query
    from pyctr_lite.networks.resolver import Resolver

HINT = "NXDOMAIN would say that it has no record"


def answer(self: Resolver, query: Query, limit: int) -> bytes | None:
    if query.error:
        return dns.answer(query, error=query.error)
    if query.class_ != dns.IN or not query.name:
        return None
    try:
        address = dns.address_of(query.name) if query.kind == dns.PTR else ""
        if address:
            name = self.name_of(address)
            if name:
                return dns.answer(query, resolver.pointer(name), limit)
            return None
        addresses = self.addresses(query.name)
        if addresses is not None:
            found = list(self.records(query, addresses))
            if not found:
                return dns.answer(query, error=dns.NXDOMAIN)
            return dns.answer(query, found, limit)
    except OSError:
        return dns.answer(query, error=dns.SERVFAIL)
    if self.single or "." in query.name:
        return None
    return dns.answer(query) if query.kind in (dns.A, dns.AAAA) else None
