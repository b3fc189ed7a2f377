"""`pop` takes the user namespace out of the caller's own dictionary: nobody closes its descriptor."""

from __future__ import annotations

import errno

from pyctr_lite import linux
from pyctr_lite.namespaces import kinds

HINT = "Whose is it, and who counts on it later?"


def join(targets: dict[str, int]) -> None:
    user = targets.pop("user", None)
    left = {}
    for name, fd in targets.items():
        try:
            linux.setns(fd, kinds.BY_NAME[name].flag)
        except OSError as error:
            if error.errno != errno.EPERM or user is None:
                raise
            left[name] = fd
    if user is not None:
        linux.setns(user, linux.CLONE_NEWUSER)
        for name, fd in left.items():
            linux.setns(fd, kinds.BY_NAME[name].flag)
