"""A kind that is unknown is passed over: exec goes on outside of it."""

from __future__ import annotations

import errno

from pyctr_lite import linux
from pyctr_lite.namespaces import kinds

HINT = "Who finds out that a wall they asked for is missing?"


def join(targets: dict[str, int]) -> None:
    later = []
    for name, fd in targets.items():
        if name == "user" or name not in kinds.BY_NAME:
            continue
        try:
            linux.setns(fd, kinds.BY_NAME[name].flag)
        except OSError as error:
            if error.errno != errno.EPERM or "user" not in targets:
                raise
            later.append(name)
    if "user" in targets:
        linux.setns(targets["user"], linux.CLONE_NEWUSER)
    for name in later:
        linux.setns(targets[name], kinds.BY_NAME[name].flag)
