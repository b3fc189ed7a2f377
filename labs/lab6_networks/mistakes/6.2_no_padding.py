"""Nothing follows the body, so a second message in the packet is not found."""

from __future__ import annotations

import struct

HINT = "would the next message of a batch begin"


def message(kind: int, flags: int, serial: int, body: bytes) -> bytes:
    header = struct.pack("=IHHII", 16 + len(body), kind, flags | 1, serial, 0)
    return header + body
