"""A name that could not be read once is not read again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyctr_lite.networks import dns, resolver

if TYPE_CHECKING:
    from pyctr_lite.networks.dns import Query
    from pyctr_lite.networks.resolver import Resolver

HINT = "what is kept from one call to the next?"

_bad = {}


def answer(self: Resolver, query: Query, limit: int) -> bytes | None:
    if query.error:
        return dns.answer(query, error=query.error)
    if query.class_ != dns.IN or not query.name:
        return None
    if query.name in _bad:
        return dns.answer(query, error=dns.SERVFAIL)
    try:
        address = dns.address_of(query.name) if query.kind == dns.PTR else ""
        if address:
            name = self.name_of(address)
            if name:
                return dns.answer(query, resolver.pointer(name), limit)
            return None
        addresses = self.addresses(query.name)
        if addresses is not None:
            return dns.answer(query, self.records(query, addresses), limit)
    except OSError:
        _bad[query.name] = True
        return dns.answer(query, error=dns.SERVFAIL)
    if self.single or "." in query.name:
        return None
    return dns.answer(query) if query.kind in (dns.A, dns.AAAA) else None
