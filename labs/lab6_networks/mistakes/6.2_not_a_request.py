"""NLM_F_REQUEST is not added: the kernel drops the message."""

from __future__ import annotations

import struct

HINT = "without NLM_F_REQUEST"


def message(kind: int, flags: int, serial: int, body: bytes) -> bytes:
    header = struct.pack("=IHHII", 16 + len(body), kind, flags, serial, 0)
    return header + body + bytes(-len(body) % 4)
