"""What a process was in is kept by its number: it may have moved since, or the number may be another's."""

from __future__ import annotations

import os

from pyctr_lite.namespaces import kinds

HINT = "what is kept from one call to the next?"

_seen = {}


def identify(pid: int | str = "self") -> dict[str, int]:
    if pid in _seen:
        return _seen[pid]
    answer = {}
    for kind in kinds.KINDS:
        try:
            answer[kind.proc] = os.stat(f"/proc/{pid}/ns/{kind.proc}").st_ino
        except FileNotFoundError:
            if kind.proc != "time" or not os.path.exists(f"/proc/{pid}/ns/uts"):
                raise
    _seen[pid] = answer
    return answer
