"""Ports and ranges of ports, as EXPOSE and the filters of `ps` give them."""

from __future__ import annotations

from pyctr_lite.formats import number

PROTOCOLS = ("tcp", "udp", "sctp")
MAX_PORT = 65535


def parse(text: str, minimum: int = 0) -> tuple[range, str]:
    """Parse `port[-port][/protocol]`: return the ports and the protocol, "tcp" if none is given.

    Raises ValueError with Docker's message. Port 0 is below the `minimum` of EXPOSE, but a filter accepts it.
    """
    ports, _, protocol = text.partition("/")
    first, dash, last = ports.partition("-")
    try:
        low = number.whole(first, MAX_PORT, minimum)
        high = number.whole(last, MAX_PORT, low) if dash else low
    except ValueError:
        raise ValueError(f"invalid containerPort: {ports}") from None
    protocol = protocol.lower() or "tcp"
    if protocol not in PROTOCOLS:
        raise ValueError(f"invalid proto: {protocol}")
    return range(low, high + 1), protocol
