"""The length has 16 bits, as an attribute's: a long body is an error."""

from __future__ import annotations

import struct

HINT = "How many bits has the length of a message?"


def message(kind: int, flags: int, serial: int, body: bytes) -> bytes:
    header = struct.pack("=HHHHII", 16 + len(body), 0, kind, flags | 1, serial, 0)
    return header + body + bytes(-len(body) % 4)
