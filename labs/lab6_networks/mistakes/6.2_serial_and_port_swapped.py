"""The serial number stands where the port belongs."""

from __future__ import annotations

import struct

HINT = "How does an answer find its question?"


def message(kind: int, flags: int, serial: int, body: bytes) -> bytes:
    header = struct.pack("=IHHII", 16 + len(body), kind, flags | 1, 0, serial)
    return header + body + bytes(-len(body) % 4)
