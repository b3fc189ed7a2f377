"""The parent's pid is written: it goes in, and the container does not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyctr_lite.linux import kernelfile

if TYPE_CHECKING:
    from pyctr_lite.cgroups.group import Group

HINT = "Whose number have you written?"


def enter(self: Group, *, born_in_v2: bool = False) -> None:
    for directory in self.directories:
        kernelfile.write(f"{directory}/cgroup.procs", str(os.getppid()))
