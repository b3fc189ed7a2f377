"""A value whose length is a multiple of four gets four zero bytes."""

from __future__ import annotations

import struct

HINT = "a multiple of four already"


def attribute(kind: int, value: bytes) -> bytes:
    padding = 4 - len(value) % 4
    return struct.pack("=HH", len(value) + 4, kind) + value + bytes(padding)
