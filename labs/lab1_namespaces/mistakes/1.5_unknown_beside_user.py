"""An unknown kind is passed over if there is a user namespace to join."""

from __future__ import annotations

import errno

from pyctr_lite import linux
from pyctr_lite.namespaces import kinds

HINT = "it should raise KeyError"


def join(targets: dict[str, int]) -> None:
    later = []
    for name, fd in targets.items():
        if name == "user":
            continue
        try:
            linux.setns(fd, kinds.BY_NAME[name].flag)
        except KeyError:
            if "user" not in targets:
                raise
        except OSError as error:
            if error.errno != errno.EPERM or "user" not in targets:
                raise
            later.append(name)
    if "user" in targets:
        linux.setns(targets["user"], linux.CLONE_NEWUSER)
    for name in later:
        linux.setns(targets[name], kinds.BY_NAME[name].flag)
