"""0 is taken for "not given": the kind becomes another one."""

from __future__ import annotations

import struct

HINT = "the kind 0 is a kind"


def attribute(kind: int, value: bytes) -> bytes:
    padding = -len(value) % 4
    return struct.pack("=HH", len(value) + 4, kind or 1) + value + bytes(padding)
