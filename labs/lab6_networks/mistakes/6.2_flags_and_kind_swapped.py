"""Flags come before the kind."""

from __future__ import annotations

import struct

HINT = "the kind, 16 bits behind the length"


def message(kind: int, flags: int, serial: int, body: bytes) -> bytes:
    header = struct.pack("=IHHII", 16 + len(body), flags | 1, kind, serial, 0)
    return header + body + bytes(-len(body) % 4)
