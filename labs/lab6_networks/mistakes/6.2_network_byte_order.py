"""All numbers have the high byte first."""

from __future__ import annotations

import struct

HINT = "the high byte is first"


def message(kind: int, flags: int, serial: int, body: bytes) -> bytes:
    header = struct.pack(">IHHII", 16 + len(body), kind, flags | 1, serial, 0)
    return header + body + bytes(-len(body) % 4)
