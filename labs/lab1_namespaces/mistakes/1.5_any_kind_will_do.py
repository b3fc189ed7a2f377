"""setns is called without a kind: it joins whatever the descriptor is."""

from __future__ import annotations

import errno

from pyctr_lite import linux

HINT = "What is the second argument of setns for?"


def join(targets: dict[str, int]) -> None:
    left = {}
    for name, fd in targets.items():
        if name == "user":
            continue
        try:
            linux.setns(fd)
        except OSError as error:
            if error.errno != errno.EPERM or "user" not in targets:
                raise
            left[name] = fd
    if "user" in targets:
        linux.setns(targets["user"])
    for fd in left.values():
        linux.setns(fd)
