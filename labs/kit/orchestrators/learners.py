"""`pyctr-oci` with a learner's functions in it: `python -m labs.kit.orchestrators.learners FILE LABS ARGS…`

Each call and its kernel steps are appended to FILE; a step says whose code made it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

from labs.kit.exercises import swap
from pyctr_lite.linux import explain
from pyctr_lite.oci import main as oci


def main() -> NoReturn:
    """Put in the functions that are written in LABS, and be the runtime."""
    file, labs, *args = sys.argv[1:]
    swap.activate(Path(labs))
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    verb = next((word for word in args if word in oci.VERBS), "")
    os.write(fd, f"\n$ pyctr-oci {verb}\n".encode())
    explain.start(fd, json=True)
    sys.argv = ["pyctr-oci", *args]
    oci.entry()
    raise AssertionError("the entry point does not return")


if __name__ == "__main__":
    main()
