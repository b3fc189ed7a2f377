"""CVE-2019-5736 (runc before 1.0.0-rc7, February 2019): the program is the runtime itself.

The path of a program is given to the kernel as it is. If the program is a script whose first line is
`#!/proc/self/exe`, the kernel looks that up in the process that asks: the runtime, on its way into the container.
So the file that runs inside is the runtime's own, on the host's disk, and the container can open it.

The attack overwrites that file, and here it is a Python interpreter. So this function takes the place of the
engine's own only in an engine that runs from a copy with the name `disposable-python`.
"""

from __future__ import annotations

import os

from pyctr_lite.runtime.program import Program

REPLACES = {"open_program": "pyctr_lite.runtime.program:open_program"}
SAFE_HERE = os.path.basename(os.path.realpath("/proc/self/exe")) == "disposable-python"


def open_program(root_fd: int, cwd: str, path: str, argv: list[str], unchanging: str | None = None) -> Program:
    """Open a program that `find` has found: leave it to the kernel to follow its path."""
    program = Program(path, argv)
    program.by_path = True
    return program
