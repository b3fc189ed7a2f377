"""0 is taken for "not given": the pid of a container that has ended gives the caller's own namespaces."""

from __future__ import annotations

import os

from pyctr_lite.namespaces import kinds

HINT = "identify(0) gives"


def identify(pid: int | str = "self") -> dict[str, int]:
    pid = pid or "self"
    answer = {}
    for kind in kinds.KINDS:
        try:
            answer[kind.proc] = os.stat(f"/proc/{pid}/ns/{kind.proc}").st_ino
        except FileNotFoundError:
            if kind.proc != "time" or not os.path.exists(f"/proc/{pid}/ns/uts"):
                raise
    return answer
