"""The length is that of the body alone."""

from __future__ import annotations

import struct

HINT = "that of the body alone"


def message(kind: int, flags: int, serial: int, body: bytes) -> bytes:
    header = struct.pack("=IHHII", len(body), kind, flags | 1, serial, 0)
    return header + body + bytes(-len(body) % 4)
