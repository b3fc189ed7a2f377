"""The kinds are listed once more, and two of eight are forgotten."""

from __future__ import annotations

import errno

from pyctr_lite import linux
from pyctr_lite.namespaces import kinds

HINT = "Which kinds do you go through?"


def join(targets: dict[str, int]) -> None:
    later = []
    for name in ("ipc", "uts", "net", "network", "pid", "mnt", "mount"):
        if name not in targets:
            continue
        try:
            linux.setns(targets[name], kinds.BY_NAME[name].flag)
        except OSError as error:
            if error.errno != errno.EPERM or "user" not in targets:
                raise
            later.append(name)
    if "user" in targets:
        linux.setns(targets["user"], linux.CLONE_NEWUSER)
    for name in later:
        linux.setns(targets[name], kinds.BY_NAME[name].flag)
