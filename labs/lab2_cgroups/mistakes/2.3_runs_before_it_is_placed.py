"""A shell is sent to do it, and nobody waits for it: the program starts outside its group."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pyctr_lite.linux import kernelfile

if TYPE_CHECKING:
    from pyctr_lite.cgroups.group import Group

HINT = "a child process is left"


def enter(self: Group, *, born_in_v2: bool = False) -> None:
    subprocess = __import__("subprocess")
    for directory in self.directories:
        subprocess.Popen(["sh", "-c", f"sleep 0.2; echo {os.getpid()} >{directory}/cgroup.procs"])
