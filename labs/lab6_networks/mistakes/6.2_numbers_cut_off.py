"""Numbers are cut to their bits: the kernel is asked for something else."""

from __future__ import annotations

import struct

HINT = "Which number has how many bits"


def message(kind: int, flags: int, serial: int, body: bytes) -> bytes:
    header = struct.pack("=IHHII", 16 + len(body), kind & 0xFFFF, (flags | 1) & 0xFFFF, serial & 0xFFFFFFFF, 0)
    return header + body + bytes(-len(body) % 4)
