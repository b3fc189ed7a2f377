"""A body whose length is a multiple of four gets four zero bytes."""

from __future__ import annotations

import struct

HINT = "whose length is a multiple of four?"


def message(kind: int, flags: int, serial: int, body: bytes) -> bytes:
    header = struct.pack("=IHHII", 16 + len(body), kind, flags | 1, serial, 0)
    return header + body + bytes(4 - len(body) % 4)
