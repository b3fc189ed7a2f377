"""0 is taken for "not given": the serial number becomes another one."""

from __future__ import annotations

import struct

HINT = "0 is a number as any other"


def message(kind: int, flags: int, serial: int, body: bytes) -> bytes:
    header = struct.pack("=IHHII", 16 + len(body), kind, flags | 1, serial or 1, 0)
    return header + body + bytes(-len(body) % 4)
