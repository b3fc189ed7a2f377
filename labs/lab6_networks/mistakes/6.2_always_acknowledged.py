"""NLM_F_ACK is added, too, so the end of a list is answered twice."""

from __future__ import annotations

import struct

HINT = "which are those given and NLM_F_REQUEST"


def message(kind: int, flags: int, serial: int, body: bytes) -> bytes:
    header = struct.pack("=IHHII", 16 + len(body), kind, flags | 5, serial, 0)
    return header + body + bytes(-len(body) % 4)
