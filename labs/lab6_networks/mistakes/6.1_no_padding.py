"""Nothing follows the value: the next attribute begins where the kernel does not look for it."""

from __future__ import annotations

import struct

HINT = "not a multiple of four"


def attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", len(value) + 4, kind) + value
