"""Without a flag of the caller's an acknowledgement is asked for, which nobody reads."""

from __future__ import annotations

import struct

HINT = "0 is a number as any other"


def message(kind: int, flags: int, serial: int, body: bytes) -> bytes:
    header = struct.pack("=IHHII", 16 + len(body), kind, (flags or 4) | 1, serial, 0)
    return header + body + bytes(-len(body) % 4)
