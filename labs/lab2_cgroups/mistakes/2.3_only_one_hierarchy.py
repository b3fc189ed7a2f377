"""Only the version 2 hierarchy is entered, or the first."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyctr_lite.linux import kernelfile

if TYPE_CHECKING:
    from pyctr_lite.cgroups.group import Group

HINT = "Which hierarchies have you been through?"


def enter(self: Group, *, born_in_v2: bool = False) -> None:
    directory = self.v2 or self.directories[0]
    kernelfile.write(f"{directory}/cgroup.procs", "0")
