"""An EPERM is kept for later also where there is no later."""

from __future__ import annotations

import errno

from pyctr_lite import linux
from pyctr_lite.namespaces import kinds

HINT = "Which errors may be kept for later, and when?"


def join(targets: dict[str, int]) -> None:
    left = {}
    for name, fd in targets.items():
        if name == "user":
            continue
        try:
            linux.setns(fd, kinds.BY_NAME[name].flag)
        except OSError as error:
            if error.errno != errno.EPERM:
                raise
            left[name] = fd
    if "user" in targets:
        linux.setns(targets["user"], linux.CLONE_NEWUSER)
        for name, fd in left.items():
            linux.setns(fd, kinds.BY_NAME[name].flag)
