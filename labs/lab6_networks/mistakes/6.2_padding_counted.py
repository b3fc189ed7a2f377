"""The length includes the zero bytes at the end."""

from __future__ import annotations

import struct

HINT = "Are the zero bytes at the end counted?"


def message(kind: int, flags: int, serial: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    header = struct.pack("=IHHII", 16 + len(body), kind, flags | 1, serial, 0)
    return header + body + bytes(-len(body) % 4)
