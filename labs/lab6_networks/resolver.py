"""What a container's DNS server answers, and what it does not (exercise 6.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labs.kit import Todo
from pyctr_lite.networks import dns, resolver

if TYPE_CHECKING:
    from pyctr_lite.networks.dns import Query
    from pyctr_lite.networks.resolver import Resolver

# This function is a method of the engine's Resolver: `self` has
#   self.addresses(name)            the addresses of a container's name, or None if no container has it
#   self.name_of(address)           the name of the container with an address, or ""
#   self.records(query, addresses)  the records of those addresses that the query asks for
#   self.single                     whether names of one label are the host's, too
# and a query has `error`, `name` ("" if no container can have it), `class_`, and `kind`, such as dns.AAAA.
# dns.answer(query, records, limit) makes an answer; one that does not fit into `limit` bytes is cut, and says so.
# dns.answer(query, error=…) makes one with a code: dns.NXDOMAIN, dns.SERVFAIL, ….
# resolver.pointer(name) are the records with a name, and dns.address_of(query.name) is the address of a reverse
# name such as 2.0.1.10.in-addr.arpa, or "".


def answer(self: Resolver, query: Query, limit: int) -> bytes | None:
    """Return the answer of at most `limit` bytes, or None if the query is for the host's servers.

    A query with an `error` is answered with that. Of the others, those for names and addresses of containers
    are answered here, in the class IN: a name has the records of the type that was asked for, maybe none; an
    address, asked for by its reverse name as PTR, has the container's name. If one of the two cannot be looked
    up because of an OSError, the answer is SERVFAIL. All other queries are the host's; but without `single`
    the answer for an unknown name of one label has no records, for A and AAAA: as Docker if ndots was set.
    """
    # 1. Some queries are answered, or left to the host, before anybody looks a name up: which?
    # 2. A name has an A record and no AAAA record. What may the client conclude from NXDOMAIN, and what from an
    #    answer without records? What would the host's servers say to a name that only your network has?
    # 3. `self.addresses` may return an empty list: is that the same as None?
    # 4. The names are files. A file that cannot be read is no reason to say that a name does not exist, nor to ask
    #    somebody else: which code says "ask again later"?
    # 5. A client that asks by UDP takes 512 bytes. Who sees to that, and does it in each of your answers?
    raise Todo("6.6")
