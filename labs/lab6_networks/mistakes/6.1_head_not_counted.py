"""The length is that of the value alone."""

from __future__ import annotations

import struct

HINT = "that of the value alone"


def attribute(kind: int, value: bytes) -> bytes:
    padding = -len(value) % 4
    return struct.pack("=HH", len(value), kind) + value + bytes(padding)
