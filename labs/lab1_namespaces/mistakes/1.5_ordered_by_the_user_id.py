"""Root joins the user namespace last, everybody else first: privileges are guessed from the user id."""

from __future__ import annotations

import os

from pyctr_lite import linux
from pyctr_lite.namespaces import kinds

HINT = "its user id, or the kernel?"


def join(targets: dict[str, int]) -> None:
    names = sorted(targets, key=lambda name: name == "user")
    if os.geteuid() != 0:
        names.reverse()
    later = []
    for name in names:
        try:
            linux.setns(targets[name], kinds.BY_NAME[name].flag)
        except OSError as error:
            if (
                error.errno != 1
                or name == "user"
                or "user" not in targets
                or names.index("user") < names.index(name)
            ):
                raise
            later.append(name)
    for name in later:
        linux.setns(targets[name], kinds.BY_NAME[name].flag)
