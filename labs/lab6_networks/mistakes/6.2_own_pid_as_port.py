"""The port is the sender's pid."""

from __future__ import annotations

import os
import struct

HINT = "what does it keep from one call to the next?"


def message(kind: int, flags: int, serial: int, body: bytes) -> bytes:
    header = struct.pack("=IHHII", 16 + len(body), kind, flags | 1, serial, os.getpid())
    return header + body + bytes(-len(body) % 4)
