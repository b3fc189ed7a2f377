"""A netlink message, piece by piece (exercises 6.1 and 6.2)."""

from __future__ import annotations

import struct


def attribute(kind: int, value: bytes) -> bytes:
    padding = -len(value) % 4
    return struct.pack("=HH", len(value) + 4, kind) + value + bytes(padding)


def message(kind: int, flags: int, serial: int, body: bytes) -> bytes:
    header = struct.pack("=IHHII", 16 + len(body), kind, flags | 1, serial, 0)
    return header + body + bytes(-len(body) % 4)
