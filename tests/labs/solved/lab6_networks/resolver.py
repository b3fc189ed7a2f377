"""What a container's DNS server answers, and what it does not (exercise 6.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_lite.networks import dns, resolver

if TYPE_CHECKING:
    from pyctr_lite.networks.dns import Query
    from pyctr_lite.networks.resolver import Resolver


def answer(self: Resolver, query: Query, limit: int) -> bytes | None:
    if query.error:
        return dns.answer(query, error=query.error)
    if query.class_ != dns.IN or not query.name:
        return None
    try:
        address = dns.address_of(query.name) if query.kind == dns.PTR else ""
        if address:
            name = self.name_of(address)
            return dns.answer(query, resolver.pointer(name), limit) if name else None
        addresses = self.addresses(query.name)
        if addresses is not None:
            return dns.answer(query, self.records(query, addresses), limit)
    except OSError:
        return dns.answer(query, error=dns.SERVFAIL)
    if self.single or "." in query.name:
        return None
    return dns.answer(query) if query.kind in (dns.A, dns.AAAA) else None
