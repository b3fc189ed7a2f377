"""The serial number is always 1, and the caller's is ignored."""

from __future__ import annotations

import struct

HINT = "How does an answer find its question?"


def message(kind: int, flags: int, serial: int, body: bytes) -> bytes:
    header = struct.pack("=IHHII", 16 + len(body), kind, flags | 1, 1, 0)
    return header + body + bytes(-len(body) % 4)
